// Tabs after the ARIA pattern: arrows move, one panel is shown. Without this script all panels are shown, one below the other.
(() => {
  "use strict";
  const tabsOf = (list) => [...list.querySelectorAll("[role=tab]")];

  const choose = (tab, { focus = false } = {}) => {
    for (const other of tabsOf(tab.closest("[role=tablist]"))) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      const panel = document.getElementById(other.getAttribute("aria-controls"));
      if (panel) panel.hidden = !chosen;
    }
    if (focus) tab.focus();
  };

  const prepare = (scope) => {
    for (const list of scope.querySelectorAll("[role=tablist]:not([data-ready])")) {
      list.dataset.ready = "";
      list.hidden = false;
      const kept = list.id && sessionStorage.getItem(`lockgate.tab.${list.id}`);
      const tabs = tabsOf(list);
      choose(tabs.find((tab) => tab.id === kept) || tabs.find((tab) => tab.getAttribute("aria-selected") === "true") || tabs[0]);
    }
  };

  document.addEventListener("DOMContentLoaded", () => prepare(document));
  document.addEventListener("htmx:load", (event) => prepare(event.target.parentNode || document));
  document.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (!tab) return;
    choose(tab);
    const list = tab.closest("[role=tablist]");
    if (list.id) sessionStorage.setItem(`lockgate.tab.${list.id}`, tab.id);
  });
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.("[role=tab]");
    if (!tab || event.ctrlKey || event.metaKey || event.altKey) return;
    const tabs = tabsOf(tab.closest("[role=tablist]"));
    const at = tabs.indexOf(tab);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(tabs[to % tabs.length], { focus: true });
  });
})();
