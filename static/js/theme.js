// Light, dark or as the system has it. Runs before the first paint, so that nothing flashes; what was chosen is kept in
// this browser.
(() => {
  "use strict";
  const KEY = "lockgate.theme";
  const root = document.documentElement;
  const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");

  const chosen = () => {
    try {
      return localStorage.getItem(KEY) || "auto";
    } catch {
      return "auto"; // A browser that stores nothing still shows something.
    }
  };

  const apply = () => {
    const choice = chosen();
    root.dataset.bsTheme = choice === "auto" ? (systemIsDark.matches ? "dark" : "light") : choice;
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
    }
  };

  const choose = (choice) => {
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      root.dataset.bsTheme = choice;
    }
    apply();
  };

  root.dataset.script = "on";
  apply();
  systemIsDark.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", apply);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (button) choose(button.dataset.themeChoice);
  });
})();
