// What a page asks for again and again never takes away what somebody is busy with. A polled region in which somebody types, has
// an open sheet, has selected text or holds a button down is left alone, and gets its news afterwards; in one that is replaced,
// the focus, what was unfolded and what was scrolled are found again. What has not changed is not replaced at all.
(() => {
  "use strict";
  const EDITABLE = "textarea, select, input:not([type=hidden], [type=submit], [type=button], [readonly]), [contenteditable]";
  const FOCUSABLE = "a[href], button, summary, input, [tabindex]";
  const held = new Map(); // The id of a region to the HTML that came while it was busy.
  const shown = new Map(); // The id of a region to the HTML that came last.
  let polled = false; // Whether the answer that is being put in was asked for by a poll.
  let pressed = null; // What the pointer is held down on.
  let before = null; // What was focused, unfolded and scrolled in the polled region itself, while its answer is put in.

  const isDirty = (field) => (field.matches("[type=checkbox], [type=radio]") ? field.checked !== field.defaultChecked
    : "defaultValue" in field && field.value !== field.defaultValue);
  const isTypedIn = (region) => region.contains(document.activeElement) && document.activeElement.matches(EDITABLE);
  const isBusy = (region) => {
    const picked = document.getSelection();
    return isTypedIn(region)
      || !!region.querySelector("form.htmx-request") // Their own click is being answered.
      || region.matches(":popover-open") || !!region.querySelector(":popover-open")
      || [...region.querySelectorAll(EDITABLE)].some((field) => !("pick" in field.dataset) && isDirty(field))
      || (picked.type === "Range" && region.contains(picked.anchorNode))
      || (pressed !== null && region.contains(pressed));
  };

  const nameOf = (element) => element.getAttribute("aria-label") || element.textContent.trim();
  const remember = (region) => {
    const active = region.contains(document.activeElement) ? document.activeElement : null;
    return {
      region: region.id,
      focus: active && { id: active.id, tag: active.tagName, name: nameOf(active) },
      open: [...region.querySelectorAll("details[open] > summary")].map(nameOf),
      scrolled: [...region.querySelectorAll("[aria-label]")].filter((one) => one.scrollTop).map((one) => [nameOf(one), one.scrollTop]),
    };
  };
  const recall = (memory) => {
    const region = memory && document.getElementById(memory.region);
    if (!region) return;
    const { focus, open, scrolled } = memory;
    for (const summary of region.querySelectorAll("details > summary")) {
      if (open.includes(nameOf(summary))) summary.parentElement.open = true;
    }
    for (const [name, top] of scrolled) {
      const place = [...region.querySelectorAll("[aria-label]")].find((one) => nameOf(one) === name);
      if (place) place.scrollTop = top;
    }
    if (!focus || document.activeElement !== document.body) return;
    const same = [...region.querySelectorAll(FOCUSABLE)].find((one) => (focus.id ? one.id === focus.id : one.tagName === focus.tag && nameOf(one) === focus.name));
    if (!same) region.tabIndex = -1;
    (same || region).focus({ preventScroll: true });
  };

  const put = (region, html) => {
    held.delete(region.id);
    shown.set(region.id, html);
    const memory = remember(region);
    htmx.swap(region, html, { swapStyle: "outerHTML", swapDelay: 0, settleDelay: 0 });
    recall(memory);
  };
  const release = () => {
    for (const [id, html] of [...held]) {
      const region = document.getElementById(id);
      if (!region) held.delete(id);
      else if (!isBusy(region)) put(region, html);
    }
  };
  const soon = () => setTimeout(release, 100);

  const isPoll = (element) => (element?.getAttribute("hx-trigger") || "").startsWith("every");
  const ownPartOf = (answer, id) => {
    const page = document.createElement("template");
    page.innerHTML = answer;
    return page.content.getElementById(id)?.outerHTML || "";
  };

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { requestConfig, target, shouldSwap, serverResponse } = event.detail;
    polled = isPoll(requestConfig.elt);
    if (!polled && shouldSwap) held.delete(target.id); // The answer to their own click is newer than any news.
    if (!polled || !shouldSwap) return;
    if (isBusy(target)) {
      const html = ownPartOf(serverResponse, target.id);
      if (html) held.set(target.id, html);
      event.detail.swapOverride = "none"; // The parts around it still get theirs.
    } else if (target.id && event.detail.requestConfig.elt.getAttribute("hx-swap") !== "none") {
      held.delete(target.id);
      before = remember(target);
    }
  });
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    const coming = fragment.firstElementChild;
    if (!coming || !target.id || coming.id !== target.id) return;
    const html = coming.outerHTML;
    if ((polled && "decided" in target.dataset) || target.isEqualNode(coming) || (polled && shown.get(target.id) === html)) {
      event.detail.shouldSwap = false;
    } else if (polled && isBusy(target)) {
      held.set(target.id, html);
      event.detail.shouldSwap = false;
    } else if (polled) {
      // Here and not by htmx, so that each region finds its own focus again.
      event.detail.shouldSwap = false;
      put(target, html);
    } else if (isTypedIn(target)) {
      event.detail.shouldSwap = false; // A late answer to an earlier choice: what is being typed is newer.
    }
  });
  document.addEventListener("htmx:afterOnLoad", () => {
    recall(before);
    before = null;
    polled = false;
  });

  document.addEventListener("focusout", soon);
  document.addEventListener("toggle", soon, true);
  document.addEventListener("selectionchange", soon);
  document.addEventListener("pointerdown", (event) => { pressed = event.target; });
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => { pressed = null; soon(); });
})();
