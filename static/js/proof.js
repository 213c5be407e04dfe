/**
 * What was typed into a form (`data-proof`) that the desk takes only from whoever has proven lately who it is stands
 * there again once the proof is given. Until then it lies in the tab's own store, sealed like a draft; any page that is
 * opened but the one that asks for the proof ends it, so that what was sent does not come back as unsent.
 */

import { keyOf, newest, opened, sealed } from "./drafts.js";

/** As it is typed; and since the proof was asked for. They begin like a draft's name: signing out takes them away. */
const [TYPED, ASKED] = ["rvr-draft-typed", "rvr-draft-asked"];

/** @param {HTMLElement|null} page */
export async function keepForProof(page) {
  const token = document.body.dataset.csrf ?? "";
  const typed = sessionStorage.getItem(TYPED);
  sessionStorage.removeItem(TYPED);
  if (!page || !token || !crypto.subtle) return;
  if (page.querySelector("[data-proves]")) {
    if (typed) sessionStorage.setItem(ASKED, typed);
    return;
  }
  const asked = sessionStorage.getItem(ASKED);
  sessionStorage.removeItem(ASKED);
  const form = page.querySelector("form[data-proof]");
  if (!(form instanceof HTMLFormElement)) return;
  const key = await keyOf(token);
  const before = await opened(key, asked);
  for (const [name, text] of Object.entries(before[location.pathname] ?? {})) {
    const box = /** @type {HTMLInputElement|RadioNodeList|null} */ (form.elements.namedItem(name));
    if (box) box.value = text;
  }
  const keep = newest(async () => sessionStorage.setItem(TYPED, await sealed(key, { [location.pathname]: written(form) })));
  form.addEventListener("input", keep);
  keep();
}

/** What a person has typed and chosen. @param {HTMLFormElement} form @returns {Record<string, string>} */
function written(form) {
  const boxes = /** @type {HTMLInputElement[]} */ ([...form.elements]);
  const own = boxes.filter((one) => one.name && one.type !== "hidden" && (one.type !== "radio" || one.checked));
  return Object.fromEntries(own.map((one) => [one.name, one.value]));
}
