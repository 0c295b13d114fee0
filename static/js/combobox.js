// A field that searches on the server while somebody types: arrows choose, Enter or a click takes, Escape closes.
// Without scripts it is a text field, and the server looks for what was typed.
(() => {
  "use strict";
  const fieldOf = (list) => document.querySelector(`[role=combobox][aria-controls="${list.id}"]`);
  const listOf = (field) => document.getElementById(field.getAttribute("aria-controls"));
  const options = (field) => [...listOf(field).querySelectorAll("[role=option]:not([aria-disabled=true])")];
  const chosen = (field) => document.getElementById(field.getAttribute("aria-activedescendant") || "");

  const choose = (field, option) => {
    for (const other of options(field)) other.setAttribute("aria-selected", String(other === option));
    if (option) {
      field.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else {
      field.removeAttribute("aria-activedescendant");
    }
  };

  const close = (field) => {
    choose(field, null);
    listOf(field).hidden = true;
    field.setAttribute("aria-expanded", "false");
  };

  const open = (field) => {
    const any = options(field).length > 0 || listOf(field).textContent.trim() !== "";
    listOf(field).hidden = !any;
    field.setAttribute("aria-expanded", String(any));
  };

  const take = (field, option) => {
    field.value = option.dataset.value;
    close(field);
    field.focus();
    field.dispatchEvent(new Event("change", { bubbles: true }));
  };

  const step = (field, by) => {
    const all = options(field);
    if (!all.length) return;
    open(field);
    const at = all.indexOf(chosen(field));
    choose(field, all[at < 0 ? (by > 0 ? 0 : all.length - 1) : (at + by + all.length) % all.length]);
  };

  document.addEventListener("keydown", (event) => {
    const field = event.target.closest?.("[role=combobox]");
    if (!field || event.altKey || event.ctrlKey || event.metaKey) return;
    const isOpen = !listOf(field).hidden;
    if (event.key === "ArrowDown") step(field, 1);
    else if (event.key === "ArrowUp") step(field, -1);
    else if (event.key === "Enter" && isOpen && chosen(field)) take(field, chosen(field));
    else if (event.key === "Escape" && isOpen) close(field);
    else return;
    event.preventDefault();
  });

  // Before the field loses the focus to it.
  document.addEventListener("mousedown", (event) => {
    const option = event.target.closest?.(".combobox-list [role=option]:not([aria-disabled=true])");
    if (!option) return;
    event.preventDefault();
    take(fieldOf(option.closest("[role=listbox]")), option);
  });

  document.addEventListener("focusout", (event) => {
    if (event.target.matches?.("[role=combobox]")) close(event.target);
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (!event.target.matches?.(".combobox-list")) return;
    const field = fieldOf(event.target);
    choose(field, null);
    if (document.activeElement === field) open(field);
  });
})();
