/**
 * What the officer asks on the victim's screen: one question at a time, as the desk has it. It stays until the desk has
 * the answer, so that nobody thinks it was heard. And whether the call is being recorded, for as long as it is.
 */

import { Asked } from "./asked.js";
import { button, el, say } from "./parts.js";

/** @typedef {"given"|"refused"|"withdrawn"} Answer */

export class Questions {
  /** What is asked about each kind. @type {Record<string, string>} */ wording = {};
  #asked = new Asked(button("consent-yes"), button("consent-no"));
  #recorded = false;
  #words;

  /**
   * @param {Record<string, string>} words
   * @param {(kind: string, answer: Answer) => Promise<void>} reply
   */
  constructor(words, reply) {
    this.#words = words;
    el("consent-yes").onclick = () => this.#asked.answering(reply(this.#asked.one, "given"));
    el("consent-no").onclick = () => this.#asked.answering(reply(this.#asked.one, "refused"));
    el("rec-stop").onclick = () => reply("recording", "withdrawn");
  }

  /** @param {string[]} kinds @param {boolean} recording */
  show(kinds, recording) {
    this.#ask(kinds.filter((one) => this.#wordingOf(one)));
    if (this.#recorded !== recording) say("note", recording ? "" : this.#words.rec_stopped);
    this.#recorded = recording;
    el("rec").hidden = !recording;
  }

  /** The workflow's own words, which the log names by their version; of what is no consent the page's. @param {string} kind */
  #wordingOf(kind) {
    return this.wording[kind] ?? this.#words[`ask_${kind}`] ?? "";
  }

  /** @param {string[]} kinds */
  #ask(kinds) {
    if (!this.#asked.show(kinds)) return;
    const kind = this.#asked.one;
    el("consent").hidden = !kind;
    if (!kind) return;
    say("consent-text", this.#wordingOf(kind));
    el("consent").focus();
  }
}
