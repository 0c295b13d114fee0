// Counts down to the end of an access, on the server's clock. The figures are silent; ten minutes before the end, and at the
// end, one sentence is read out, once.
(() => {
  "use strict";
  const SOON = 10 * 60;
  let ahead = 0; // How far the server's clock is ahead of this one, in milliseconds.
  const announced = new Set();

  const spoken = (seconds) => {
    const days = Math.floor(seconds / 86400);
    const hours = Math.floor((seconds % 86400) / 3600);
    const minutes = Math.floor((seconds % 3600) / 60);
    const rest = Math.floor(seconds % 60);
    const two = (number) => String(number).padStart(2, "0");
    if (days) return `${days} d ${hours} h`;
    if (hours) return `${hours}:${two(minutes)}:${two(rest)}`;
    return `${minutes}:${two(rest)}`;
  };

  const announce = (key, sentence) => {
    const region = document.getElementById("announcer");
    if (announced.has(key) || !region) return;
    announced.add(key);
    region.textContent = sentence;
  };

  const tell = (element, left) => {
    const name = element.dataset.name || "Your access";
    const key = element.dataset.until + name;
    if (left <= 0) announce(`${key} over`, `${name} has ended.`);
    else if (left <= SOON && "announce" in element.dataset) {
      announce(`${key} soon`, `${name} ends in ${Math.max(1, Math.round(left / 60))} minutes. You can extend it.`);
    }
  };

  const draw = (element) => {
    const left = (Date.parse(element.dataset.until) - Date.now() - ahead) / 1000;
    const soon = left <= SOON;
    element.querySelector("[data-figure]").textContent = left > 0 ? spoken(left) : "ended";
    element.classList.toggle("countdown-soon", soon);
    const mark = element.querySelector("[data-soon-word]");
    if (mark) mark.hidden = !soon || left <= 0;
    element.closest("[data-countdown-scope]")?.toggleAttribute("data-soon", soon && left > 0);
    const bar = element.closest("[data-countdown-scope]")?.querySelector("progress");
    if (bar) {
      bar.value = Math.max(0, left);
      bar.classList.toggle("countdown-bar-soon", soon);
    }
    tell(element, left);
  };

  const drawAll = () => document.querySelectorAll("[data-until]").forEach(draw);

  const readClock = (scope) => {
    const stamp = scope.querySelector?.("[data-server-now]") || document.querySelector("[data-server-now]");
    if (stamp) ahead = Date.parse(stamp.dataset.serverNow) - Date.now();
  };

  document.addEventListener("DOMContentLoaded", () => {
    readClock(document);
    drawAll();
    setInterval(drawAll, 1000);
  });
  document.addEventListener("htmx:load", (event) => {
    if (event.target.matches?.("[data-server-now]") || event.target.querySelector?.("[data-server-now]")) {
      readClock(event.target.parentNode || document);
    }
    drawAll();
  });
})();
