// Copy buttons, and a word that it worked.
(() => {
  "use strict";
  const put = async (text) => {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    // Plain HTTP on another host than localhost: the old way still works there.
    const field = document.createElement("textarea");
    field.value = text;
    field.setAttribute("readonly", "");
    field.className = "unseen";
    document.body.append(field);
    field.select();
    const worked = document.execCommand("copy");
    field.remove();
    if (!worked) throw new Error("The browser did not let us copy.");
  };

  const say = (button, word) => {
    const label = button.querySelector("[data-copy-word]") || button;
    const before = label.dataset.before || label.textContent;
    label.dataset.before = before;
    label.textContent = word;
    const region = document.getElementById("announcer");
    if (region) region.textContent = word;
    setTimeout(() => { label.textContent = before; }, 1600);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    put(source.value ?? source.textContent).then(() => say(button, "Copied"), () => say(button, "Select it and press Ctrl+C"));
  });
})();
