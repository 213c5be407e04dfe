/**
 * A page that is one long form (`data-keep`), typed while somebody speaks: it is left only once the desk has what was
 * typed. Without a line it is sent again by itself, as it was when it was pressed: under one id the desk takes one
 * form. Without this script the browser sends it.
 */

import { focusTrouble } from "./forms.js";

const words = JSON.parse(document.body.dataset.words || "{}");
const AGAIN_MS = 2000;
/** A line that swallows what is sent is no line. */
const DEAD_MS = 8000;

/** @param {HTMLElement|null} main */
export function keepForm(main) {
  const kept = main?.querySelector("form[data-keep]");
  if (!main || !kept) return;
  let [typed, sending] = [false, false];
  const first = kept.querySelector("input:not([type=hidden])");
  if (first instanceof HTMLElement && document.activeElement === document.body) first.focus();
  main.addEventListener("input", () => (typed = true));
  addEventListener("beforeunload", (event) => typed && event.preventDefault());
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.dataset.keep === undefined) return;
    event.preventDefault();
    if (sending) return;
    sending = true;
    const body = written(form);
    const response = await untilAnswered(form.action, body);
    sending = false;
    const go = response.headers.get("X-RVR-Go");
    if (response.status === 401) document.dispatchEvent(new CustomEvent("signedout"));
    else if (!go) show(main, await response.text());
    else if (written(form) !== body) {
      sending = true; // for good: under this id the desk takes nothing more
      stay(form, go);
    } else {
      typed = false;
      location.assign(go);
    }
  });
}

/** What stands in the form. @param {HTMLFormElement} form */
function written(form) {
  // @ts-ignore - a form's data is a list of texts here: no form has files
  return new URLSearchParams(new FormData(form)).toString();
}

/** @param {string} to @param {string} body */
async function untilAnswered(to, body) {
  for (;;) {
    const response = await once(to, body);
    if (response) {
      document.dispatchEvent(new CustomEvent("moved"));
      return response;
    }
    say(words.sent_again);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** Null: the desk did not answer. @param {string} to @param {string} body */
async function once(to, body) {
  const headers = { "X-RVR-Fragment": "1", "Content-Type": "application/x-www-form-urlencoded" };
  try {
    const response = await fetch(to, { method: "POST", body, headers, signal: AbortSignal.timeout(DEAD_MS) });
    return response.status === 503 ? null : response;
  } catch {
    return null;
  }
}

/**
 * The form as it came back, with the faults beside their fields; another page only says why.
 * @param {HTMLElement} main @param {string} html
 */
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

/**
 * What was typed after the press is not with the desk: it stays here to be read.
 * @param {HTMLFormElement} form @param {string} go
 */
function stay(form, go) {
  say(words.typed_after);
  const link = document.createElement("a");
  link.className = "govuk-button";
  link.href = go;
  link.target = "_blank";
  link.textContent = words.to_the_case;
  form.querySelector("button.govuk-button")?.replaceWith(link);
  link.focus();
}

/** @param {string} text */
function say(text) {
  document.dispatchEvent(new CustomEvent("say", { detail: { text } }));
}
