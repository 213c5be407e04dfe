/**
 * The victim's answer to whoever else would like to join, and the list of everybody in the call. Who it is, is told by
 * role; a guest comes in by the victim's yes alone, and one press puts the guest on hold or lets the guest back.
 */

import { Asked } from "./asked.js";

/** @typedef {import("./tiles.js").Sitting} Sitting */

export class People {
  #root;
  #ask;
  #words;
  #roles;
  #send;
  /** Which guest is asked about. */
  #asked;

  /**
   * @param {{list: HTMLElement, ask: HTMLElement}} parts  `ask` holds the question and its two buttons
   * @param {Record<string, string>} words  what is asked
   * @param {Record<string, string>} roles
   * @param {(action: string, guest: string) => Promise<unknown>} send  until the desk has heard it
   */
  constructor({ list, ask }, words, roles, send) {
    this.#root = list;
    this.#ask = ask;
    this.#words = words;
    this.#roles = roles;
    this.#send = send;
    this.#asked = new Asked(this.#button("yes"), this.#button("no"));
    this.#button("yes").onclick = () => this.#answer("admit");
    this.#button("no").onclick = () => this.#answer("refuse");
  }

  /** @param {Sitting[]} people */
  show(people) {
    this.#question(people.filter((one) => one.state === "asked"));
    const lines = people.map((one) => this.#line(one));
    // Made anew only where something has changed: a button that is being pressed must not vanish.
    const told = JSON.stringify(people);
    if (this.#root.dataset.told !== told) this.#root.replaceChildren(...lines);
    this.#root.dataset.told = told;
    this.#root.hidden = !people.length;
  }

  /** @param {"yes"|"no"} name */
  #button(name) {
    return /** @type {HTMLButtonElement} */ (this.#ask.querySelector(`[data-part="${name}"]`));
  }

  /** @param {Sitting[]} waiting */
  #question(waiting) {
    if (!this.#asked.show(waiting.map((one) => one.guest ?? ""))) return;
    const guest = waiting.find((one) => one.guest === this.#asked.one);
    this.#ask.hidden = !guest;
    if (!guest) return;
    const text = /** @type {HTMLElement} */ (this.#ask.querySelector('[data-part="question"]'));
    text.textContent = this.#words[`ask_${guest.role}`] ?? this.#words.ask;
  }

  /** @param {"admit"|"refuse"} action */
  #answer(action) {
    this.#asked.answering(this.#send(action, this.#asked.one));
  }

  /** @param {Sitting} one */
  #line(one) {
    const line = document.createElement("li");
    const roles = this.#roles;
    line.append(one.at === null ? roles.you : [roles[one.role] ?? one.role, roles[one.state]].filter(Boolean).join(", "));
    if (one.guest && (one.mine || ["here", "away", "held"].includes(one.state))) line.append(this.#hold(one));
    return line;
  }

  /** @param {Sitting} one */
  #hold(one) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "govuk-button govuk-button--secondary join__hold";
    button.textContent = this.#words[one.mine ? "let_back" : "hold"];
    button.onclick = () => {
      button.disabled = true; // the list is made anew when it has changed
      this.#send(one.mine ? "back" : "hold", one.guest ?? "");
    };
    return button;
  }
}
