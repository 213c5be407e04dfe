/**
 * What is typed into the forms of a case outlives a reload of its tab, until it is sent. It lies in the tab's own store,
 * sealed under a key that is made of the page's token: whoever signs in here next has another token, and cannot read it.
 */

const NAME = "rvr-draft";
const TYPED = "textarea, input[type=text], input[type=tel]";
const IV_BYTES = 12;

/** Form -> box -> text. @typedef {Record<string, Record<string, string>>} Draft */

/** @param {HTMLElement|null} page  the live part of a case's page */
export async function keepDrafts(page) {
  const token = document.body.dataset.csrf ?? "";
  if (!token) forget();
  if (!page || !token || !crypto.subtle) return;
  const key = await keyOf(token);
  const place = `${NAME} ${location.pathname}`;
  const draft = await opened(key, sessionStorage.getItem(place));
  const keep = newest(async () => {
    const kept = Object.keys(draft).length ? await sealed(key, draft) : "";
    if (kept) sessionStorage.setItem(place, kept);
    else sessionStorage.removeItem(place);
  });
  page.addEventListener("input", ({ target }) => {
    const box = /** @type {HTMLInputElement} */ (target);
    const form = box.form;
    if (!form?.id || form.dataset.move === undefined || !box.matches(TYPED) || savedByItself(form)) return;
    (draft[form.id] ??= {})[box.name] = box.value;
    keep();
  });
  page.addEventListener("reset", ({ target }) => {
    if (!(target instanceof HTMLFormElement)) return;
    delete draft[target.id]; // it was sent: forms.js
    keep();
  });
  restore(page, draft);
}

/** Somebody signed out: what could not be read any more need not lie there. */
function forget() {
  for (const name of Object.keys(sessionStorage)) if (name.startsWith(NAME)) sessionStorage.removeItem(name);
}

/** A long form that is noted while it is filled in: notes.js. @param {HTMLFormElement} form */
function savedByItself(form) {
  return Boolean(document.querySelector(`rvr-notes[data-form="${form.id}"]`));
}

/** Into boxes that are empty; the part of the page that holds them is opened. @param {HTMLElement} page @param {Draft} draft */
function restore(page, draft) {
  for (const [id, boxes] of Object.entries(draft)) {
    const form = document.getElementById(id);
    if (!(form instanceof HTMLFormElement) || !page.contains(form)) continue;
    for (const [name, text] of Object.entries(boxes)) {
      const box = form.elements.namedItem(name);
      if (!(box instanceof HTMLTextAreaElement || box instanceof HTMLInputElement) || box.value || !text) continue;
      box.value = text;
      for (let part = box.closest("details"); part; part = part.parentElement?.closest("details") ?? null) part.open = true;
    }
  }
}

/** @param {string} token @returns {Promise<CryptoKey>} */
export async function keyOf(token) {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${NAME} ${token}`));
  return crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** @param {CryptoKey} key @param {Draft} draft */
export async function sealed(key, draft) {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const text = new TextEncoder().encode(JSON.stringify(draft));
  const bytes = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, text));
  return btoa(String.fromCharCode(...iv, ...bytes));
}

/** Nothing, where there is nothing that this sign-in has kept. @param {CryptoKey} key @param {string|null} kept @returns {Promise<Draft>} */
export async function opened(key, kept) {
  if (!kept) return {};
  try {
    const bytes = Uint8Array.from(atob(kept), (one) => one.charCodeAt(0));
    const [iv, body] = [bytes.slice(0, IV_BYTES), bytes.slice(IV_BYTES)];
    return JSON.parse(new TextDecoder().decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, body)));
  } catch {
    return {};
  }
}

/** One at a time; of what was asked meanwhile, once more. @param {() => Promise<void>} work */
export function newest(work) {
  let [busy, again] = [false, false];
  return async () => {
    again = true;
    if (busy) return;
    busy = true;
    try {
      for (; again; ) {
        again = false;
        await work();
      }
    } finally {
      busy = false; // a tab's store may be full: what is typed next is tried again
    }
  };
}
