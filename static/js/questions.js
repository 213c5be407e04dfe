/**
 * What the officer asks on the victim's screen: one question at a time, as the desk has it. It stays until the desk has
 * the answer, so that nobody thinks it was heard. And whether the call is being recorded, for as long as it is.
 */

import { el, say } from "./parts.js";

/** @typedef {"given"|"refused"|"withdrawn"} Answer */

export class Questions {
  /** What is asked about each kind. @type {Record<string, string>} */ wording = {};
  /** The kind that is asked for now. */
  #asked = "";
  #recorded = false;
  #words;

  /**
   * @param {Record<string, string>} words
   * @param {(kind: string, answer: Answer) => void} reply
   */
  constructor(words, reply) {
    this.#words = words;
    el("consent-yes").onclick = () => reply(this.#asked, "given");
    el("consent-no").onclick = () => reply(this.#asked, "refused");
    el("rec-stop").onclick = () => reply("recording", "withdrawn");
  }

  /** @param {string[]} kinds @param {boolean} recording */
  show(kinds, recording) {
    this.#ask(kinds.find((one) => this.#wordingOf(one)) ?? "");
    if (this.#recorded !== recording) say("note", recording ? "" : this.#words.rec_stopped);
    this.#recorded = recording;
    el("rec").hidden = !recording;
  }

  /** The workflow's own words, which the log names by their version; of what is no consent the page's. @param {string} kind */
  #wordingOf(kind) {
    return this.wording[kind] ?? this.#words[`ask_${kind}`] ?? "";
  }

  /** @param {string} kind */
  #ask(kind) {
    const fresh = kind && kind !== this.#asked;
    this.#asked = kind;
    el("consent").hidden = !kind;
    if (!fresh) return;
    say("consent-text", this.#wordingOf(kind));
    el("consent").focus();
  }
}
