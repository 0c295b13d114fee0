// The focus goes where the eye goes: to what is to be corrected, else to what has just been answered. On a page that was loaded
// it goes there once; after an answer that is put into the page, only when what had the focus has gone.
(() => {
  "use strict";
  const isLost = () => !document.activeElement || document.activeElement === document.body;
  const take = (element) => {
    if (!element.matches("a, button, input, textarea, select, [tabindex]")) element.tabIndex = -1;
    element.focus();
    element.scrollIntoView({ block: "nearest" });
    if (element.matches("input[readonly]")) element.select();
  };
  // The field beside an error, or the field that is marked as wrong.
  const wrong = (scope) => {
    const marked = scope.querySelector("[aria-invalid=true]:not([type=hidden], [type=radio])");
    const field = scope.querySelector(".field-error")?.closest(".field");
    return marked || field?.querySelector("input[type=radio]:checked, input:not([type=hidden], [disabled]), textarea, select");
  };
  // A form that was filled in beforehand goes on where something is missing.
  const firstEmpty = (scope) => scope.querySelector(".picker-list input:checked") && [...scope.querySelectorAll("#ask textarea")].find((one) => !one.value);
  const news = (scope) => scope.querySelector("[data-focus]") || wrong(scope) || scope.querySelector(".note[role=alert]");

  document.addEventListener("DOMContentLoaded", () => {
    for (const chosen of document.querySelectorAll(".picker-list input:checked")) {
      const list = chosen.closest(".picker-list"), row = chosen.closest("label");
      list.scrollTop += row.getBoundingClientRect().top - list.getBoundingClientRect().top;
    }
    if (!isLost() || location.hash || document.querySelector(".sheet:popover-open")) return;
    const main = document.getElementById("main");
    const found = main && (news(main) || main.querySelector(".message") || firstEmpty(main));
    if (found) take(found);
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    const { requestConfig, target } = event.detail;
    if (!requestConfig || (requestConfig.elt?.getAttribute?.("hx-trigger") || "").startsWith("every") || !isLost()) return;
    const place = target.isConnected ? target : document.getElementById(target.id);
    if (!place || document.querySelector(".sheet:popover-open")) return;
    take(news(place) || place);
  });
})();
