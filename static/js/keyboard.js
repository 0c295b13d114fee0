// Shortcuts of one or two keys. Silent while somebody types, with any modifier, under an open sheet, and when switched off; silent
// as well when the field that somebody typed in has gone: what they go on typing is a text and no command. A key decides only on
// a row that somebody has chosen; on one to which the choice has moved by itself it asks first.
(() => {
  "use strict";
  const KEY = "lockgate.shortcuts";
  const PAUSE = 1500; // How long `g` waits for its second key, in milliseconds.
  const DECIDING = ["a", "d"];
  let waitingSince = 0;
  let typingIn = null; // The field that was typed in last, until it is left on purpose.
  let chosenId = ""; // The row that is chosen, through everything that replaces it.
  let moving = false; // The focus is moved by this script.

  const isOn = () => {
    try {
      return localStorage.getItem(KEY) !== "off";
    } catch {
      return true;
    }
  };
  const isTyping = (target) => target.isContentEditable || !!target.closest("textarea, select, input:not([type=radio], [type=checkbox], [type=submit], [type=button])");
  const openSheet = () => document.querySelector(".sheet:popover-open");
  const say = (words) => {
    const region = document.getElementById("announcer");
    if (region) region.textContent = words;
  };

  const follow = (name) => {
    const link = document.querySelector(`[data-go="${name}"]`);
    if (link) link.click();
    return !!link;
  };

  const rows = () => [...document.querySelectorAll("[data-row]")];
  const chosen = () => document.querySelector("[data-row][data-chosen]");

  // `offered`: the choice has come here by itself, and nobody has looked yet.
  const mark = (row, how = "") => {
    for (const other of rows()) if (other !== row) other.removeAttribute("data-chosen");
    row.setAttribute("data-chosen", how);
    chosenId = row.id;
  };
  const choose = (row, how = "") => {
    mark(row, how);
    moving = true;
    row.focus({ preventScroll: true });
    moving = false;
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
    const row = chosen();
    const button = (row || document.querySelector("[data-page-of]"))?.querySelector(`[data-action="${action}"]`);
    if (!button) {
      if (!row && rows().length) say("Nothing is chosen. Press j to choose a request.");
      return false;
    }
    if (action === "approve" && row?.dataset.chosen === "offered") askFirst(row, button);
    else button.click();
    return true;
  };

  let asked = null; // The button that is pressed once somebody has confirmed.
  const confirmation = () => document.getElementById("confirm-approval");
  const askFirst = (row, button) => {
    const sheet = confirmation();
    if (!sheet) return;
    asked = button;
    sheet.querySelector("[data-what]").textContent = row.dataset.what;
    sheet.showPopover();
    sheet.focus();
  };
  const confirm = () => {
    const button = asked;
    asked = null;
    confirmation().hidePopover();
    if (button?.isConnected) button.click();
    else say("It has changed meanwhile. Nothing was approved.");
  };
  // Enter has to be the very next key: whoever goes on typing did not mean to approve.
  const answer = (event) => {
    if (event.target !== confirmation()) return;
    if (event.key === "Enter" && !event.repeat) confirm();
    else if (event.key.length === 1) {
      confirmation().hidePopover();
      say("Nothing was approved.");
    } else return;
    event.preventDefault();
  };

  const following = (place) => {
    const all = rows();
    return all.find((row) => place.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING) || all.at(-1);
  };
  // After an answer of the server: the chosen row may be another element, or no row any more.
  const keepChoice = () => {
    const place = chosenId && document.getElementById(chosenId);
    if (!place || place.hasAttribute("data-chosen")) return;
    const isLost = document.activeElement === document.body || place.contains(document.activeElement);
    if (place.hasAttribute("data-row")) {
      mark(place, "offered");
      if (isLost) choose(place, "offered");
      return;
    }
    const next = following(place);
    const words = place.textContent.trim().replace(/\s+/g, " ");
    if (next && isLost) choose(next, "offered");
    else if (next) mark(next, "offered");
    else if (isLost) {
      place.tabIndex = -1;
      place.focus();
    }
    if (!next) chosenId = "";
    say(next ? `${words} Next: ${next.dataset.what}.` : `${words} Nothing else is on this page.`);
  };

  const enter = (target) => {
    if (target.closest("a, button, summary, input, [role=tab]")) return false;
    const link = chosen()?.querySelector("[data-row-link]");
    link?.click();
    return !!link;
  };

  const second = { h: "home", a: "approvals", n: "request", r: "request", c: "access", m: "requests", u: "audit", s: "servers", e: "settings" };
  const single = {
    n: () => follow("request"),
    j: () => step(1),
    k: () => step(-1),
    a: () => press("approve"),
    d: () => press("deny"),
    "?": () => { document.getElementById("shortcuts")?.showPopover(); return true; },
  };

  // What somebody typed in has gone, and they have not left it by themselves.
  const isTypingIntoNothing = (event) => {
    if (!typingIn || event.key.length !== 1) return false;
    const isGone = !typingIn.isConnected || !typingIn.checkVisibility() || document.activeElement === document.body;
    if (!isGone) return false;
    say("Shortcuts are off: the field that you typed in has gone. Press Escape to go on.");
    return true;
  };

  document.addEventListener("keydown", (event) => {
    if (isTyping(event.target)) {
      typingIn = event.target;
      if (["Tab", "Escape"].includes(event.key) || (event.key === "Enter" && event.target.matches("input"))) typingIn = null;
      return;
    }
    if (["Tab", "Escape", "Enter"].includes(event.key)) typingIn = null;
    if (openSheet()) {
      answer(event);
      return;
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"jk".includes(event.key)) return;
    if ((!isOn() && event.key !== "?") || isTypingIntoNothing(event)) return;
    let done = false;
    if (waitingSince) {
      // Who was slow with the second key did not mean to decide.
      const isInTime = event.timeStamp - waitingSince < PAUSE;
      waitingSince = 0;
      if (isInTime) done = !!second[event.key] && follow(second[event.key]);
      else if (!DECIDING.includes(event.key) && Object.hasOwn(single, event.key)) done = single[event.key]();
    } else if (event.key === "g") {
      waitingSince = event.timeStamp;
    } else if (event.key === "Enter") {
      done = enter(event.target);
    } else if (Object.hasOwn(single, event.key)) {
      done = single[event.key]();
    }
    if (done) event.preventDefault();
  });

  document.addEventListener("pointerdown", (event) => {
    typingIn = null;
    waitingSince = 0;
    const row = event.target.closest?.("[data-row]");
    if (row) mark(row);
  });
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest("[data-row]");
    if (!row || moving || row.dataset.chosen === "") return;
    // A sheet that closes, or a window that comes back, gives the focus back: nobody has looked at the row for that.
    if (row.dataset.chosen === "offered" && event.target === row) return;
    mark(row);
  });
  document.addEventListener("htmx:load", keepChoice);

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelector("[data-confirm]")?.addEventListener("click", confirm);
    const box = document.querySelector("[data-shortcuts-switch]");
    if (!box) return;
    box.checked = isOn();
    box.addEventListener("change", () => localStorage.setItem(KEY, box.checked ? "on" : "off"));
  });
})();
