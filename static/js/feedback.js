/**
 * A few questions afterwards. The token leaves the address at once and is kept nowhere but in this page; the way out is
 * that of the call's page.
 */

import { speak } from "./language.js";
import { button, el, trouble } from "./parts.js";
import { randomId } from "./random-id.js";

const EXIT_TO = /** @type {HTMLAnchorElement} */ (el("exit")).href;
const words = JSON.parse(document.body.dataset.words || "{}");
const reasons = JSON.parse(document.body.dataset.reasons || "{}");
const form = /** @type {HTMLFormElement} */ (el("form"));
const token = location.hash.slice(1);
/** One press: sent again, it is known as the same. */
const press = randomId();

history.replaceState(null, "", location.pathname);

el("exit").addEventListener(
  "click",
  (event) => {
    event.preventDefault();
    document.documentElement.hidden = true;
    document.title = "";
    location.replace(EXIT_TO);
  },
  { capture: true },
);

for (const one of document.querySelectorAll("[data-language]")) {
  one.addEventListener("click", async () => {
    const told = await speak(one.getAttribute("data-language") ?? "");
    if (!told) return trouble(words.offline);
    Object.assign(words, JSON.parse(told.words ?? "{}"));
    Object.assign(reasons, JSON.parse(told.reasons ?? "{}"));
    trouble();
  });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answers = Object.fromEntries(new FormData(form));
  if (!token) return trouble(words.no_link);
  if (!Object.keys(answers).length) return trouble(words.none);
  button("send").disabled = true;
  const failed = await send(answers);
  button("send").disabled = false;
  if (failed) return trouble(failed);
  trouble();
  form.reset();
  el("asked").hidden = true;
  el("thanks").hidden = false;
  el("thanks-title").focus();
});
button("send").disabled = false; // until here a press would have put the answers into the address

/** What went wrong, in words; nothing, where the desk has the answers. @param {object} answers @returns {Promise<string>} */
async function send(answers) {
  const body = JSON.stringify({ token, answers, command_id: press });
  const headers = { "Content-Type": "application/json" };
  try {
    const response = await fetch("/api/v1/feedback", { method: "POST", body, headers });
    if (response.ok) return "";
    const { reasons: told } = await response.json();
    // What the desk may lack is said to whoever runs it, not here.
    const said = told.map((/** @type {{code: string}} */ one) => reasons[one.code] ?? words.offline);
    return [...new Set(said)].join(" ");
  } catch {
    return words.offline;
  }
}
