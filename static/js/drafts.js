// What was typed into a form and did not arrive, because somebody had been signed out or the console had an error, is back in the
// form when they are back on its page. It is kept in this tab alone, for the same person, and never has a password or a code in it.
(() => {
  "use strict";
  const KEY = "lockgate.draft";
  const LEFT_OUT = "[type=hidden], [type=password], [type=file], [readonly], [autocomplete=one-time-code]";
  const isTick = (field) => field.matches("[type=radio], [type=checkbox]");
  const person = () => document.querySelector("[data-person]")?.dataset.person || "";

  const read = () => {
    try {
      return JSON.parse(sessionStorage.getItem(KEY));
    } catch {
      return null;
    }
  };
  const write = (draft) => {
    try {
      if (draft) sessionStorage.setItem(KEY, JSON.stringify(draft));
      else sessionStorage.removeItem(KEY);
    } catch {
      // A browser that stores nothing keeps nothing.
    }
  };
  const hasNotArrived = () => {
    const draft = read();
    if (draft) write({ ...draft, isLost: true });
  };

  const wasChanged = (field) => (isTick(field) ? field.checked && !field.defaultChecked : "defaultValue" in field && field.value !== field.defaultValue);
  const keep = (form) => {
    const fields = [...form.elements].filter((field) => field.name && field.matches("input, textarea") && !field.matches(LEFT_OUT) && wasChanged(field));
    const typed = fields.map((field) => [field.name, field.value, isTick(field)]);
    const action = form.getAttribute("action") || "";
    write(typed.some(([, , ticked]) => !ticked) ? { path: location.pathname, person: person(), action, typed } : null);
  };

  const fill = (form, [name, value, ticked]) => {
    const field = [...form.elements].find((one) => one.name === name && (!ticked || one.value === value));
    if (!field || (!ticked && field.value !== field.defaultValue)) return;
    if (ticked) field.checked = true;
    else field.value = value;
    for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
  };
  const giveBack = (draft) => {
    const form = [...document.forms].find((one) => one.method === "post" && (one.getAttribute("action") || "") === draft.action && draft.typed.some(([name]) => name in one.elements));
    if (!form) return;
    write(null);
    for (const one of draft.typed) fill(form, one);
    const sheet = form.closest(".sheet[popover]");
    if (sheet) sheet.showPopover();
    else form.querySelector("textarea, input:not([type=hidden])")?.focus();
    const region = document.getElementById("announcer");
    if (region) region.textContent = "What you wrote was not sent. It is here again.";
  };

  document.addEventListener("submit", (event) => {
    if (person() && event.target.method === "post") keep(event.target);
  }, true);
  for (const kind of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(kind, (event) => { if (event.detail.requestConfig?.verb === "post") hasNotArrived(); });
  }
  document.addEventListener("DOMContentLoaded", () => {
    if (document.querySelector("[data-keeps-drafts]")) hasNotArrived();
    const draft = read();
    if (!draft || !person()) return;
    if (!draft.isLost || draft.person !== person()) write(null);
    else if (draft.path === location.pathname) giveBack(draft);
  });
})();
