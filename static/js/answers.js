/**
 * <rvr-answers> around a form of questions: each answer is sent as it is given, and again until the desk has it. A
 * number key in a question gives the answer of that number and goes on to the next question. Without this script the
 * form has its button. What is said of the saving stands in the shadow tree: a morph of the page leaves it alone.
 */

import { focusTrouble } from "./forms.js";
import { morph } from "./live.js";

const words = JSON.parse(document.body.dataset.words || "{}");

/** Whoever walks through the answers with the arrow keys means the one on which the walk ends. */
const SETTLE_MS = 300;
const AGAIN_MS = [1000, 2000, 4000];
/** A line that swallows what is sent is no line. */
const DEAD_MS = 8000;

/** @typedef {{id: string, answers: Map<string, string>}} Batch */

class Answers extends HTMLElement {
  /** Given, and not yet on the way. @type {Map<string, string>} */ #given = new Map();
  /** On the way: sent as it is, under one id, until the desk has answered. @type {Batch|null} */ #sent = null;
  #timer = 0;
  #failures = 0;
  #state = document.createElement("p");

  constructor() {
    super();
    this.#state.setAttribute("role", "status");
    this.attachShadow({ mode: "open" }).append(document.createElement("slot"), this.#state);
    this.addEventListener("change", ({ target }) => this.#give(target));
    this.addEventListener("keydown", (event) => this.#key(event));
  }

  connectedCallback() {
    document.addEventListener("live", this.#again);
    addEventListener("beforeunload", this.#warn);
    // What was answered before this script was there, or is put back by the browser after a reload.
    for (const one of this.querySelectorAll("input[type=radio]:checked")) {
      if (one instanceof HTMLInputElement && !one.defaultChecked) this.#give(one);
    }
    const asked = this.#questions;
    const fresh = asked.length && !this.querySelector("input[type=radio]:checked");
    if (fresh && document.activeElement === document.body) focus(asked[0]);
  }

  disconnectedCallback() {
    document.removeEventListener("live", this.#again);
    removeEventListener("beforeunload", this.#warn);
  }

  get #questions() {
    return [...this.querySelectorAll(".rvr-question")];
  }

  get #left() {
    return new Set([...this.#given.keys(), ...(this.#sent?.answers.keys() ?? [])]).size;
  }

  /** @param {EventTarget|null} target */
  #give(target) {
    if (!(target instanceof HTMLInputElement) || target.type !== "radio") return;
    this.#given.set(target.name, target.value);
    this.#say(words.saving);
    if (!this.#sent) this.#soon(SETTLE_MS);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const question = event.target instanceof HTMLInputElement ? event.target.closest(".rvr-question") : null;
    if (!question || event.ctrlKey || event.altKey || event.metaKey || !/^[1-9]$/.test(event.key)) return;
    const answer = question.querySelectorAll("input[type=radio]")[Number(event.key) - 1];
    if (!(answer instanceof HTMLInputElement)) return;
    event.preventDefault();
    answer.focus();
    answer.click();
    const asked = this.#questions;
    const next = asked[asked.indexOf(question) + 1];
    if (next) focus(next);
  }

  /** @param {number} ms */
  #soon(ms) {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#send(), ms);
  }

  #again = () => {
    if (this.#sent && this.#failures) this.#soon(0);
  };

  /** @param {BeforeUnloadEvent} event */
  #warn = (event) => {
    if (this.#left) event.preventDefault();
  };

  async #send() {
    if (!this.#sent) {
      if (!this.#given.size) return;
      this.#sent = { id: crypto.randomUUID(), answers: this.#given };
      this.#given = new Map();
    }
    const form = this.querySelector("form");
    const target = this.closest("[data-live]");
    if (!(form instanceof HTMLFormElement) || !(target instanceof HTMLElement)) return;
    const response = await post(form, this.#sent);
    if (response?.status === 401) {
      document.dispatchEvent(new CustomEvent("signedout"));
      this.#say(words.unsaved.replace("{count}", String(this.#left)));
    } else if (!response || response.status >= 500) this.#wait();
    else await this.#settled(response, target);
  }

  /** Told at the top of the screen, too: the questions may be longer than the screen. */
  #wait() {
    const text = words.unsaved.replace("{count}", String(this.#left));
    if (this.#state.textContent !== text) document.dispatchEvent(new CustomEvent("say", { detail: { text } }));
    this.#say(text);
    this.#soon(AGAIN_MS[Math.min(this.#failures, AGAIN_MS.length - 1)]);
    this.#failures += 1;
  }

  /**
   * The desk has taken the answers, or says why it never will.
   * @param {Response} response @param {HTMLElement} target
   */
  async #settled(response, target) {
    if (this.#failures) document.dispatchEvent(new CustomEvent("moved"));
    [this.#sent, this.#failures] = [null, 0];
    const go = response.headers.get("X-RVR-Go");
    if (go) {
      location.assign(go);
      return;
    }
    await morph(target, await response.text());
    if (!response.ok) focusTrouble(target);
    this.#say(this.#given.size ? words.saving : response.ok ? words.saved : "");
    if (this.#given.size) this.#soon(0);
  }

  /** @param {string} text */
  #say(text) {
    if (this.#state.textContent !== text) this.#state.textContent = text;
  }
}

/**
 * Null: nobody answered. No version is expected: an answer is true whatever else has happened to the case meanwhile.
 * @param {HTMLFormElement} form @param {Batch} batch
 */
async function post(form, batch) {
  const csrf = /** @type {HTMLInputElement} */ (form.elements.namedItem("csrf")).value;
  const body = new URLSearchParams([["csrf", csrf], ["command_id", batch.id], ...batch.answers]);
  const headers = { "X-RVR-Fragment": "1" };
  const signal = AbortSignal.timeout(DEAD_MS);
  try {
    return await fetch(form.action, { method: "POST", body, headers, signal, keepalive: true });
  } catch {
    return null;
  }
}

/** Where the question's answer is, or would be. @param {Element} question */
function focus(question) {
  const answer = question.querySelector("input[type=radio]:checked") ?? question.querySelector("input[type=radio]");
  if (answer instanceof HTMLElement) answer.focus();
}

customElements.define("rvr-answers", Answers);
