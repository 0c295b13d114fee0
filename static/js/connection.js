// When the console does not answer, or answers with an error, the page says so: nothing old is shown as new, and no click comes to
// nothing without a word. Who has been signed out meanwhile is not taken away from what they are typing.
(() => {
  "use strict";
  const WORDS = {
    403: "This page is too old, or you may no longer do this. Reload it and try again.",
    404: "This is not there any more. Reload the page.",
    429: "Too many attempts. Wait five minutes, then try again.",
  };
  const UNSURE = "The console did not answer as it should, so it may not have been done. Reload the page to see.";
  const NOT_LOADED = "This could not be loaded. Try again in a moment.";
  const SIGNED_OUT = "You have been signed out. Finish typing and send it: what you wrote is still here after you have signed in again.";

  const isPoll = (element) => (element?.getAttribute?.("hx-trigger") || "").startsWith("every");
  const isDirty = (field) => "defaultValue" in field && field.value !== field.defaultValue;
  const isTyping = () => !!document.querySelector(".sheet:popover-open") || [...document.querySelectorAll("main textarea, main input:not([type=hidden], [type=radio], [type=checkbox], [type=search])")].some(isDirty);

  // Over an open sheet as well.
  const put = (id, words) => {
    const sign = document.getElementById(id);
    if (!sign) return;
    if (words) sign.querySelector("[data-words]").textContent = words;
    if (sign.matches(":popover-open") !== !!words) sign.togglePopover(!!words);
  };
  const lost = (isLost) => put("offline", isLost ? "The console does not answer. What you see may be old; trying again…" : "");
  const failed = (words) => put("failed", words);

  const onError = (event) => {
    const { requestConfig, xhr } = event.detail;
    const status = event.type === "htmx:responseError" ? xhr.status : 0;
    if (isPoll(requestConfig?.elt)) {
      if (!status || status >= 500) lost(true);
      return;
    }
    failed(WORDS[status] || (requestConfig?.verb === "get" ? NOT_LOADED : UNSURE));
  };
  for (const kind of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) document.addEventListener(kind, onError);
  document.addEventListener("htmx:afterOnLoad", (event) => {
    const { requestConfig, xhr } = event.detail;
    if (xhr.status < 500) lost(false);
    if (xhr.status < 400 && !isPoll(requestConfig.elt)) failed("");
  });

  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const { requestConfig, xhr } = event.detail;
    if (!xhr.getResponseHeader("HX-Redirect") || !isPoll(requestConfig.elt) || !isTyping()) return;
    event.preventDefault();
    failed(SIGNED_OUT);
  });

  // A form that failed keeps its sheet open; one that worked closes it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status >= 400) return;
    event.detail.requestConfig.elt.closest?.(".sheet:popover-open")?.hidePopover();
  });
})();
