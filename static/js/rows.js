// Ticking several rows: one box for all, and a button that counts.
(() => {
  "use strict";
  const boxes = () => [...document.querySelectorAll("input[data-pick]")];

  const count = () => {
    const picked = boxes().filter((box) => box.checked).length;
    const form = document.querySelector("[data-pick-form]");
    if (form) {
      form.hidden = boxes().length < 2;
      form.querySelector("[data-pick-total]").textContent = boxes().length;
    }
    const all = document.querySelector("input[data-pick-all]");
    if (all) {
      all.checked = picked > 0 && picked === boxes().length;
      all.indeterminate = picked > 0 && picked < boxes().length;
    }
    for (const button of document.querySelectorAll("[data-pick-button]")) {
      button.disabled = picked === 0;
      button.querySelector("[data-pick-count]").textContent = picked ? ` (${picked})` : "";
    }
  };

  document.addEventListener("change", (event) => {
    if (event.target.matches?.("input[data-pick-all]")) boxes().forEach((box) => { box.checked = event.target.checked; });
    if (event.target.matches?.("input[data-pick], input[data-pick-all]")) count();
  });
  document.addEventListener("DOMContentLoaded", count);
  document.addEventListener("htmx:load", count);
})();
