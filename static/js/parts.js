/** The parts of a page of the call, by their ids, and what is said in them. */

/** @param {string} id @returns {HTMLElement} */
export const el = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id @returns {HTMLButtonElement} */
export const button = (id) => /** @type {HTMLButtonElement} */ (el(id));
/** @param {string} id @returns {HTMLVideoElement} */
export const video = (id) => /** @type {HTMLVideoElement} */ (el(id));

/** A live region speaks whenever its text is set, even to the same. @param {string} id @param {string} [text] */
export function say(id, text = "") {
  if (el(id).textContent !== text) el(id).textContent = text;
}

/** @param {"welcome"|"call"|"ended"} part */
export function showOnly(part) {
  for (const id of ["welcome", "call", "ended"]) el(id).hidden = id !== part;
}

/** @param {string} [text] */
export function trouble(text = "") {
  const known = el("trouble").textContent === text;
  say("trouble", text);
  el("trouble").hidden = !text;
  if (text && !known) el("trouble").focus();
}

/** A button that stays pressed. @param {"mute"|"camera"} id @param {boolean} pressed @param {string} text */
export function switched(id, pressed, text) {
  say(id, text);
  el(id).setAttribute("aria-pressed", String(pressed));
}
