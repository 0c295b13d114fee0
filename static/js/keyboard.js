// Shortcuts of one or two keys. Silent while somebody types, with any modifier, under an open sheet, and when switched off.
(() => {
  "use strict";
  const KEY = "lockgate.shortcuts";
  const PAUSE = 1200; // How long `g` waits for its second key, in milliseconds.
  let waitingSince = 0;

  const isOn = () => {
    try {
      return localStorage.getItem(KEY) !== "off";
    } catch {
      return true;
    }
  };
  const isTyping = (target) => target.isContentEditable || !!target.closest("textarea, select, input:not([type=radio], [type=checkbox], [type=submit], [type=button])");
  const openSheet = () => document.querySelector(".sheet:popover-open");

  const follow = (name) => {
    const link = document.querySelector(`[data-go="${name}"]`);
    if (link) link.click();
    return !!link;
  };

  const rows = () => [...document.querySelectorAll("[data-row]")];
  const chosen = () => document.querySelector("[data-row][data-chosen]") || (rows().length === 1 ? rows()[0] : null);

  const choose = (row) => {
    rows().forEach((other) => other.removeAttribute("data-chosen"));
    row.setAttribute("data-chosen", "");
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  };

  const step = (by) => {
    const all = rows();
    if (!all.length) return false;
    const at = all.findIndex((row) => row.hasAttribute("data-chosen"));
    choose(all[Math.min(Math.max(at + by, 0), all.length - 1)]);
    return true;
  };

  // On the page of one request there is no list: the page itself is the row.
  const press = (action) => {
    const scope = chosen() || document.querySelector("[data-page-of]");
    const button = scope?.querySelector(`[data-action="${action}"]`);
    button?.click();
    return !!button;
  };

  const enter = (target) => {
    if (target.closest("a, button, summary, input, [role=tab]")) return false;
    const link = chosen()?.querySelector("[data-row-link]");
    link?.click();
    return !!link;
  };

  const second = { h: "home", a: "approvals", n: "request", r: "request", c: "access", u: "audit", s: "servers", e: "settings" };
  const single = {
    n: () => follow("request"),
    j: () => step(1),
    k: () => step(-1),
    a: () => press("approve"),
    d: () => press("deny"),
    "?": () => { document.getElementById("shortcuts")?.showPopover(); return true; },
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"jk".includes(event.key)) return;
    if (isTyping(event.target) || openSheet() || (!isOn() && event.key !== "?")) return;
    let done = false;
    if (waitingSince && event.timeStamp - waitingSince < PAUSE) {
      done = !!second[event.key] && follow(second[event.key]);
      waitingSince = 0;
    } else if (event.key === "g") {
      waitingSince = event.timeStamp;
    } else if (event.key === "Enter") {
      done = enter(event.target);
    } else if (Object.hasOwn(single, event.key)) {
      done = single[event.key]();
    }
    if (done) event.preventDefault();
  });

  document.addEventListener("focusin", (event) => {
    const row = event.target.closest("[data-row]");
    if (row && !row.hasAttribute("data-chosen")) {
      rows().forEach((other) => other.removeAttribute("data-chosen"));
      row.setAttribute("data-chosen", "");
    }
  });

  document.addEventListener("DOMContentLoaded", () => {
    const box = document.querySelector("[data-shortcuts-switch]");
    if (!box) return;
    box.checked = isOn();
    box.addEventListener("change", () => localStorage.setItem(KEY, box.checked ? "on" : "off"));
  });
})();
