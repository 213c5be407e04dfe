/**
 * Forms of a case are sent by fetch, and only the case's fragment is replaced: a call beside it goes on. Without this
 * script the same forms are sent by the browser. The server's answer is the same fragment either way, with the errors
 * beside their fields.
 */

import { morph } from "./live.js";
import { asked } from "./when.js";

const words = JSON.parse(document.body.dataset.words || "{}");

/**
 * The error summary takes the focus, so that it is read first. It is taken out of the live part of the page: the next
 * change of the case would sweep it away unread.
 * @param {ParentNode} root
 */
export function focusTrouble(root) {
  const trouble = root.querySelector("[data-focus]");
  if (trouble instanceof HTMLElement) {
    document.getElementById("notice")?.replaceChildren(trouble);
    trouble.focus();
    trouble.scrollIntoView({ block: "nearest" });
  }
}

/** A press that is repeated while the first is on its way is dropped. @param {HTMLFormElement} form */
function busy(form) {
  if (form.dataset.busy !== undefined) return true;
  form.dataset.busy = "";
  setTimeout(() => delete form.dataset.busy, 10_000);
  return false;
}

/** @param {HTMLElement} target the live part of the page */
export function sendForms(target) {
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.method !== "post" || form.dataset.keep !== undefined) return;
    if (busy(form)) {
      event.preventDefault();
      return;
    }
    if (form.dataset.move === undefined || !target.contains(form)) return;
    event.preventDefault();
    await send(form, target);
  });
  target.addEventListener("fragment", () => progress(target));
  target.addEventListener("change", () => progress(target));
  progress(target);
}

/** @param {HTMLFormElement} form @param {HTMLElement} target */
async function send(form, target) {
  try {
    // @ts-ignore - a form's data is a list of texts here: no form has files
    const body = new URLSearchParams(new FormData(form));
    const response = await fetch(form.action, { method: "POST", body, headers: { "X-RVR-Fragment": "1" } });
    if (response.status === 401) {
      document.dispatchEvent(new CustomEvent("signedout"));
      return;
    }
    const go = response.headers.get("X-RVR-Go");
    if (go) {
      form.reset(); // it was sent: drafts.js
      location.assign(go);
      return;
    }
    if (response.status >= 500 && response.status !== 503) throw new Error(String(response.status));
    if (response.ok) {
      form.reset();
      form.closest("details")?.removeAttribute("open");
    }
    document.getElementById("notice")?.replaceChildren();
    await morph(target, await response.text());
    if (response.ok) {
      document.dispatchEvent(new CustomEvent("moved"));
      keepFocus(target);
    } else focusTrouble(target);
  } catch {
    document.dispatchEvent(new CustomEvent("say", { detail: { text: words.not_sent, alert: true } }));
  } finally {
    delete form.dataset.busy;
  }
}

/** A button that made its form vanish leaves the focus nowhere: it goes to the heading. @param {HTMLElement} target */
function keepFocus(target) {
  const heading = target.querySelector("h1");
  if (document.activeElement !== document.body || !heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** How many questions of a long list are left. @param {HTMLElement} target */
function progress(target) {
  for (const line of target.querySelectorAll("[data-progress]")) {
    const form = target.querySelector(`#${line.getAttribute("data-progress")}`);
    const open = [...(form?.querySelectorAll(".rvr-question:not([data-optional])") ?? [])].filter(asked);
    const left = open.filter((question) => !answered(question)).length;
    line.textContent = words.progress.replace("{left}", String(left));
  }
}

/** @param {Element} question */
function answered(question) {
  const text = question.querySelector("textarea");
  return Boolean(question.querySelector("input[type=radio]:checked") || text?.value.trim());
}
