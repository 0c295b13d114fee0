// What is exported is what the filters say, also those that were chosen and not applied yet: then the list follows as well.
(() => {
  "use strict";
  const saidBy = (form) => [...new FormData(form)].filter(([, value]) => value !== "");

  document.addEventListener("submit", (event) => {
    const filters = document.getElementById(event.target.dataset?.exportOf || "");
    if (!filters || event.submitter?.value === "evidence") return;
    for (const old of event.target.querySelectorAll("input[type=hidden]:not([name=csrfmiddlewaretoken])")) old.remove();
    const query = new URLSearchParams();
    for (const [name, value] of saidBy(filters)) {
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name, value });
      event.target.append(field);
      query.append(name, value);
    }
    const address = `${location.pathname}?${query}`;
    if (address === location.pathname + (location.search || "?")) return;
    history.replaceState(null, "", address);
    htmx.ajax("GET", address, { target: "#found", select: "#found", swap: "outerHTML" });
  }, true);
})();
