// When the console does not answer, the page says so instead of showing old things as new.
(() => {
  "use strict";
  const show = (lost) => {
    const sign = document.getElementById("offline");
    if (sign) sign.hidden = !lost;
  };
  document.addEventListener("htmx:sendError", () => show(true));
  document.addEventListener("htmx:timeout", () => show(true));
  document.addEventListener("htmx:responseError", (event) => show(event.detail.xhr.status >= 500));
  document.addEventListener("htmx:afterOnLoad", () => show(false));
  // A form that failed keeps its sheet open; one that worked closes it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status >= 400) return;
    event.detail.requestConfig.elt.closest?.(".sheet:popover-open")?.hidePopover();
  });
})();
