// Sheets are dialogs: they open by themselves when something in them is to be corrected, the first field gets the cursor, and Tab
// stays inside until they are closed.
(() => {
  "use strict";
  const FOCUSABLE = "a[href], button:not([disabled]), input:not([type=hidden], [disabled]), textarea, select, summary, [tabindex='0']";
  const firstOf = (sheet) => sheet.querySelector("[aria-invalid=true], .field:has(.field-error) input:not([disabled])") || sheet.querySelector("textarea, input:not([type=hidden], [disabled])");
  const openMarked = (scope) => {
    // By the browser itself and at once: the next letter is typed before an event of ours would come.
    for (const sheet of scope.querySelectorAll(".sheet[popover]")) firstOf(sheet)?.setAttribute("autofocus", "");
    for (const sheet of scope.querySelectorAll(".sheet[popover][data-open]")) {
      sheet.removeAttribute("data-open");
      sheet.showPopover();
    }
  };
  const stops = (sheet) => [...sheet.querySelectorAll(FOCUSABLE)].filter((one) => one.checkVisibility() && (one.type !== "radio" || one === radioOf(sheet, one.name)));
  // Of a group of radio buttons, Tab stops at one: the one that is on, else the first.
  const radioOf = (sheet, name) => {
    const group = [...sheet.querySelectorAll("input[type=radio]:not([disabled])")].filter((one) => one.name === name);
    return group.find((one) => one.checked) || group[0];
  };

  document.addEventListener("DOMContentLoaded", () => openMarked(document));
  document.addEventListener("htmx:load", (event) => openMarked(event.target.parentNode || document));
  document.addEventListener("toggle", (event) => {
    const sheet = event.target;
    if (event.newState !== "open" || !sheet.matches?.(".sheet")) return;
    sheet.setAttribute("aria-modal", "true");
    if (sheet.contains(document.activeElement)) return;
    (firstOf(sheet) || stops(sheet)[0])?.focus();
  }, true);

  document.addEventListener("keydown", (event) => {
    const sheet = event.key === "Tab" && document.querySelector(".sheet:popover-open");
    if (!sheet) return;
    const all = stops(sheet);
    if (!all.length) return;
    const at = all.findIndex((one) => one === document.activeElement || (one.type === "radio" && one.name === document.activeElement.name && document.activeElement.type === "radio"));
    const leaves = at < 0 || (event.shiftKey ? at === 0 : at === all.length - 1);
    if (!leaves) return;
    event.preventDefault();
    (event.shiftKey ? all.at(-1) : all[0]).focus();
  });
})();
