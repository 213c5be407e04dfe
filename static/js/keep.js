/**
 * A page that is one long form (`data-keep`), typed while somebody speaks: it is left only once the desk has what was
 * typed. Without a line it is sent again by itself, under the same id; without this script the browser sends it.
 */

import { focusTrouble } from "./forms.js";

const words = JSON.parse(document.body.dataset.words || "{}");
const AGAIN_MS = 2000;
/** A line that swallows what is sent is no line. */
const DEAD_MS = 8000;

/** @param {HTMLElement|null} main */
export function keepForm(main) {
  const form = main?.querySelector("form[data-keep]");
  if (!main || !form) return;
  let [typed, sending] = [false, false];
  const first = form.querySelector("input:not([type=hidden])");
  if (first instanceof HTMLElement && document.activeElement === document.body) first.focus();
  main.addEventListener("input", ({ target }) => (typed ||= kept(target)));
  addEventListener("beforeunload", (event) => typed && event.preventDefault());
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.dataset.keep === undefined) return;
    event.preventDefault();
    if (sending) return;
    sending = true;
    const response = await untilAnswered(form);
    sending = false;
    const go = response.headers.get("X-RVR-Go");
    if (response.status === 401) document.dispatchEvent(new CustomEvent("signedout"));
    else if (go) {
      typed = false;
      location.assign(go);
    } else show(main, await response.text());
  });
}

/** @param {EventTarget|null} target */
function kept(target) {
  return target instanceof Element && target.closest("form[data-keep]") !== null;
}

/** What is sent is what stands in the form by then; the id tells the desk that it is the same press. @param {HTMLFormElement} form */
async function untilAnswered(form) {
  for (;;) {
    const response = await once(form);
    if (response) {
      document.dispatchEvent(new CustomEvent("moved"));
      return response;
    }
    say(words.sent_again);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** Null: the desk did not answer. @param {HTMLFormElement} form */
async function once(form) {
  // @ts-ignore - a form's data is a list of texts here: no form has files
  const body = new URLSearchParams(new FormData(form));
  const headers = { "X-RVR-Fragment": "1" };
  try {
    const response = await fetch(form.action, { method: "POST", body, headers, signal: AbortSignal.timeout(DEAD_MS) });
    return response.status === 503 ? null : response;
  } catch {
    return null;
  }
}

/** The form as it came back, with the faults beside their fields; another page only says why. @param {HTMLElement} main @param {string} html */
function show(main, html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const inner = page.getElementById("main");
  if (!inner?.querySelector("form[data-keep]")) {
    say(inner?.textContent?.trim().replace(/\s+/g, " ") || words.not_sent);
    return;
  }
  document.title = page.title;
  main.replaceChildren(...inner.childNodes);
  focusTrouble(main);
}

/** @param {string} text */
function say(text) {
  document.dispatchEvent(new CustomEvent("say", { detail: { text } }));
}
