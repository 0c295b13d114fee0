// Times are sent in UTC and shown in the reader's own zone; UTC stays in the title, one hover away.
(() => {
  "use strict";
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const clockWithSeconds = new Intl.DateTimeFormat(undefined, {
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
  });
  const dayAndClock = new Intl.DateTimeFormat(undefined, {
    day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
  });
  const full = new Intl.DateTimeFormat(undefined, {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
  });

  const sameDay = (one, other) => one.toDateString() === other.toDateString();

  const shown = (date, style) => {
    if (style === "full") return full.format(date);
    if (style === "clock") return clock.format(date);
    if (style === "seconds") return clockWithSeconds.format(date);
    return sameDay(date, new Date()) ? clock.format(date) : dayAndClock.format(date);
  };

  const localise = (scope) => {
    for (const element of scope.querySelectorAll("time[data-local]")) {
      const date = new Date(element.dateTime);
      if (!Number.isNaN(date.getTime())) element.textContent = shown(date, element.dataset.local);
      element.removeAttribute("data-local");
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    localise(document);
    for (const zone of document.querySelectorAll("[data-time-zone]")) {
      zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
    }
    // A wished start is typed in local time; the offset tells the server what was meant.
    document.body.addEventListener("submit", fillOffset, true);
    document.body.addEventListener("htmx:configRequest", (event) => {
      if (event.detail.parameters.has?.("wished_start")) event.detail.parameters.set("utc_offset", offset());
    });
  });
  document.addEventListener("htmx:load", (event) => localise(event.target.parentNode || document));

  const offset = () => String(-new Date().getTimezoneOffset());
  const fillOffset = (event) => {
    const field = event.target.querySelector("input[name=utc_offset]");
    const start = event.target.querySelector("input[name=wished_start]");
    if (!field) return;
    // Summer time: the offset of the day that was typed, not of today.
    const typed = start && start.value ? new Date(start.value) : new Date();
    field.value = String(-typed.getTimezoneOffset());
  };
})();
