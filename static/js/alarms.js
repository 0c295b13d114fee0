// An alarm is read out once in this browser, and not again on each page or with each answer that still has it.
(() => {
  "use strict";
  const KEY = "lockgate.alarms";
  const said = () => {
    try {
      return JSON.parse(sessionStorage.getItem(KEY)) || [];
    } catch {
      return [];
    }
  };
  const read = () => {
    const voice = document.getElementById("alarm-voice");
    if (!voice) return;
    const alarms = [...document.querySelectorAll("#alarms [data-alarm]")].map((one) => one.textContent.trim().replace(/\s+/g, " "));
    const known = said();
    const fresh = alarms.filter((words) => !known.includes(words));
    if (fresh.length) voice.textContent = fresh.join(" ");
    try {
      // What is over is forgotten: when it comes back, it is said again.
      sessionStorage.setItem(KEY, JSON.stringify(alarms));
    } catch {
      // A browser that stores nothing says it once a page.
    }
  };
  document.addEventListener("DOMContentLoaded", read);
  document.addEventListener("htmx:load", read);
})();
