/**
 * <rvr-when data-when='{"box": ["answer", ...]}'>: a part of a form that is asked only if each of these boxes holds one
 * of these answers. Without this script every part is shown, with the words "only if ...". What is hidden keeps its
 * answers; the server leaves them out.
 */

class When extends HTMLElement {
  connectedCallback() {
    const form = this.closest("form");
    if (form) update(form);
  }
}

/** In the order of the page: what is closed opens nothing. @param {HTMLFormElement} form */
function update(form) {
  for (const part of form.querySelectorAll("rvr-when")) part.toggleAttribute("open", holds(form, part));
}

/** @param {HTMLFormElement} form @param {Element} part */
function holds(form, part) {
  /** @type {Record<string, string[]>} */
  const when = JSON.parse(part.getAttribute("data-when") ?? "{}");
  return Object.entries(when).every(([box, answers]) => answers.includes(answer(form, box)));
}

/** What the box holds; nothing, if its own part is closed. @param {HTMLFormElement} form @param {string} name */
function answer(form, name) {
  for (const box of form.elements) {
    if (!(box instanceof HTMLInputElement) || box.name !== name || !asked(box)) continue;
    if (box.type === "hidden" || box.checked) return box.value;
  }
  return "";
}

/** Whether every part around it is open. @param {Element} element */
export function asked(element) {
  const part = element.closest("rvr-when");
  return !part || (part.hasAttribute("open") && (!part.parentElement || asked(part.parentElement)));
}

// On the way down, so that whoever counts questions on the way up counts the open ones.
addEventListener(
  "change",
  ({ target }) => {
    if (target instanceof HTMLInputElement && target.form) update(target.form);
  },
  { capture: true },
);
addEventListener("fragment", () => document.querySelectorAll("form").forEach(update), { capture: true });
customElements.define("rvr-when", When);
