/**
 * The victim's answer to whoever else would like to join, and the list of everybody in the call. Who it is, is told by
 * role; a guest comes in by the victim's yes alone, and one press puts the guest on hold or lets the guest back.
 */

/** @typedef {import("./tiles.js").Sitting} Sitting */

/** A press that was not heard is made again after this, in ms, for as long as the question stands. */
const AGAIN_MS = 2000;

export class People {
  #root;
  #ask;
  #words;
  #send;
  /** The guest who is asked about now. */
  #asked = "";

  /**
   * @param {{list: HTMLElement, ask: HTMLElement}} parts  `ask` holds the question and its two buttons
   * @param {Record<string, string>} words
   * @param {(action: string, guest: string) => Promise<boolean>} send  whether the server heard it
   */
  constructor({ list, ask }, words, send) {
    this.#root = list;
    this.#ask = ask;
    this.#words = words;
    this.#send = send;
    this.#button("yes").onclick = () => this.#answer("admit");
    this.#button("no").onclick = () => this.#answer("refuse");
  }

  /** @param {Sitting[]} people */
  show(people) {
    const waiting = people.find((one) => one.state === "asked");
    this.#question(waiting);
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

  /** @param {Sitting|undefined} waiting */
  #question(waiting) {
    const guest = waiting?.guest ?? "";
    if (guest === this.#asked) return;
    this.#asked = guest;
    this.#ask.hidden = !guest;
    if (!waiting) return;
    const text = /** @type {HTMLElement} */ (this.#ask.querySelector('[data-part="question"]'));
    text.textContent = this.#words[`ask_${waiting.role}`] ?? this.#words.ask;
    for (const name of /** @type {const} */ (["yes", "no"])) this.#button(name).disabled = false;
  }

  /** @param {"admit"|"refuse"} action */
  async #answer(action) {
    const guest = this.#asked;
    for (const name of /** @type {const} */ (["yes", "no"])) this.#button(name).disabled = true;
    while (guest === this.#asked && !(await this.#send(action, guest))) {
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  /** @param {Sitting} one */
  #line(one) {
    const line = document.createElement("li");
    const words = this.#words;
    line.append(one.at === null ? words.you : [words[one.role] ?? one.role, words[one.state]].filter(Boolean).join(", "));
    if (one.guest && (one.mine || ["here", "away", "held"].includes(one.state))) line.append(this.#hold(one));
    return line;
  }

  /** @param {Sitting} one */
  #hold(one) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "govuk-button govuk-button--secondary join__hold";
    button.textContent = this.#words[one.mine ? "let_back" : "hold"];
    button.onclick = async () => {
      button.disabled = true;
      button.disabled = await this.#send(one.mine ? "back" : "hold", one.guest ?? "");
    };
    return button;
  }
}
