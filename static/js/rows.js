// Ticking several rows: one box for all, and a button that counts. And a click that was meant for the row that stood there a moment
// ago, as the second one of a double click is, approves nothing.
(() => {
  "use strict";
  const STEADY = 500; // So long a list has to have stood still, in milliseconds.
  let movedAt = -STEADY;
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
  document.addEventListener("DOMContentLoaded", () => {
    count();
    const list = document.getElementById("asks");
    if (list) new MutationObserver((changes) => { if (changes.some((one) => one.removedNodes.length)) movedAt = performance.now(); }).observe(list, { childList: true });
  });
  document.addEventListener("click", (event) => {
    const isByPointer = event.detail > 0;
    if (!isByPointer || performance.now() - movedAt > STEADY || !event.target.closest?.("#asks [data-action=approve]")) return;
    event.preventDefault();
    event.stopPropagation();
    const region = document.getElementById("announcer");
    if (region) region.textContent = "The list has just moved. Nothing was approved.";
  }, true);
  document.addEventListener("htmx:load", count);
})();
