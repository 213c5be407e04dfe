/**
 * The victim's answer to whoever else would like to join, and the list of everybody in the call. Who it is, is told by
 * role; a guest comes in by the victim's yes alone, and one press puts the guest on hold or lets the guest back.
 */

/** @typedef {import("./tiles.js").Sitting} Sitting */

export class People {
  #root;
  #ask;
  #words;
  #roles;
  #send;
  /** The guest who is asked about now. */
  #asked = "";

  /**
   * @param {{list: HTMLElement, ask: HTMLElement}} parts  `ask` holds the question and its two buttons
   * @param {Record<string, string>} words  what is asked
   * @param {Record<string, string>} roles
   * @param {(action: string, guest: string) => void} send  until the desk has heard it
   */
  constructor({ list, ask }, words, roles, send) {
    this.#root = list;
    this.#ask = ask;
    this.#words = words;
    this.#roles = roles;
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
  #answer(action) {
    for (const name of /** @type {const} */ (["yes", "no"])) this.#button(name).disabled = true;
    this.#send(action, this.#asked);
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
