// A sheet that comes back from the server with something to correct opens by itself; the first field in it gets the cursor.
(() => {
  "use strict";
  const openMarked = (scope) => {
    for (const sheet of scope.querySelectorAll(".sheet[popover][data-open]")) {
      sheet.removeAttribute("data-open");
      sheet.showPopover();
    }
  };
  document.addEventListener("DOMContentLoaded", () => openMarked(document));
  document.addEventListener("htmx:load", (event) => openMarked(event.target.parentNode || document));
  document.addEventListener("toggle", (event) => {
    if (event.newState !== "open" || !event.target.matches?.(".sheet")) return;
    (event.target.querySelector("[aria-invalid=true]") || event.target.querySelector("textarea, input:not([type=hidden])"))?.focus();
  }, true);
})();
