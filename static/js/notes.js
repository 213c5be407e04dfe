/**
 * <rvr-notes data-form="ID" data-action="ADDRESS" data-boxes='{"box": "value"}'>: a long form, saved while it is filled
 * in. What was saved is put into its boxes once, when the form appears; from then on they are the reader's own.
 */

import { randomId } from "./random-id.js";

/** After the last answer; and at the latest after the first that is not saved. */
const PAUSE_MS = 2000;
const LATEST_MS = 8000;
const AGAIN_MS = 5000;

class Notes extends HTMLElement {
  #timer = 0;
  /** Since when something is not saved; 0: everything is. */
  #since = 0;
  #restoring = false;

  connectedCallback() {
    this.#restore();
    document.addEventListener("change", this.#changed);
    document.addEventListener("input", this.#changed);
    addEventListener("pagehide", this.#leave);
  }

  disconnectedCallback() {
    this.#leave();
    document.removeEventListener("change", this.#changed);
    document.removeEventListener("input", this.#changed);
    removeEventListener("pagehide", this.#leave);
  }

  get #form() {
    return /** @type {HTMLFormElement|null} */ (document.getElementById(this.dataset.form ?? ""));
  }

  #restore() {
    this.#restoring = true;
    /** @type {Record<string, string>} */
    const boxes = JSON.parse(this.dataset.boxes || "{}");
    for (const one of this.#form?.elements ?? []) {
      if (one instanceof HTMLInputElement && /radio|checkbox/.test(one.type) && boxes[one.name] === one.value) {
        one.checked = true;
        one.dispatchEvent(new Event("change", { bubbles: true })); // what depends on the answer opens
      } else if (one instanceof HTMLTextAreaElement && boxes[one.name] && !one.value) one.value = boxes[one.name];
    }
    this.#restoring = false;
  }

  /** @param {Event} event */
  #changed = ({ target }) => {
    if (this.#restoring || !(target instanceof Element) || target.closest("form") !== this.#form) return;
    this.#since ||= performance.now();
    this.#wait(Math.min(PAUSE_MS, this.#since + LATEST_MS - performance.now()));
  };

  /** @param {number} ms */
  #wait(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#save(), Math.max(0, ms));
  }

  #leave = () => {
    if (this.#since) this.#save();
  };

  async #save() {
    const form = this.#form;
    clearTimeout(this.#timer);
    this.#since = 0;
    if (!form) return;
    // @ts-ignore - a form's data is a list of texts here: no form has files
    const body = new URLSearchParams(new FormData(form));
    body.delete("expected_version"); // an answer counts whatever else has happened meanwhile
    body.set("command_id", randomId());
    const request = { method: "POST", body, headers: { "X-RVR-Fragment": "1" }, keepalive: true };
    const status = await fetch(this.dataset.action ?? "", request).then((answer) => answer.status, () => 0);
    if (status && status < 500 && status !== 409 && status !== 429) return;
    this.#since ||= performance.now();
    this.#wait(AGAIN_MS);
  }
}

customElements.define("rvr-notes", Notes);
