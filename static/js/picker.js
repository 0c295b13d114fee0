// The search over access roles: arrows go into the list, Enter takes the first one. Durations: typing one chooses 'custom'.
(() => {
  "use strict";
  document.addEventListener("keydown", (event) => {
    const search = event.target.closest?.("[data-picker-search]");
    if (!search || !["ArrowDown", "Enter"].includes(event.key)) return;
    event.preventDefault(); // Enter would send the form before it is filled in.
    const first = search.closest(".picker").querySelector("input[type=radio]");
    if (!first) return;
    first.focus();
    if (!first.checked) first.click();
  });

  // One that the address has chosen may be far down the list.
  const chosen = document.querySelector(".picker-list input[type=radio]:checked")?.closest(".pick");
  const list = chosen?.closest(".picker-list");
  if (list) list.scrollTop += chosen.getBoundingClientRect().bottom - list.getBoundingClientRect().bottom;

  document.addEventListener("click", (event) => {
    const offered = event.target.closest?.("[data-add-line]");
    if (!offered) return;
    const field = document.getElementById(offered.dataset.addLine);
    const lines = field.value.split("\n").filter((line) => line.trim());
    if (!lines.includes(offered.value)) lines.push(offered.value);
    field.value = lines.join("\n");
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });

  document.addEventListener("input", (event) => {
    const custom = event.target.closest?.("[data-custom-duration]");
    if (!custom) return;
    const radio = custom.closest(".chips").querySelector("input[type=radio][value=custom]");
    if (custom.value && radio && !radio.checked) {
      radio.checked = true;
      radio.dispatchEvent(new Event("change", { bubbles: true }));
    }
  });

  document.addEventListener("change", (event) => {
    const radio = event.target;
    if (!radio.matches?.(".chip input[type=radio]")) return;
    const custom = radio.closest(".chips").querySelector("[data-custom-duration]");
    if (!custom) return;
    custom.required = radio.required && radio.value === "custom";
    if (radio.value === "custom" && document.activeElement !== custom) custom.focus();
  });
})();
