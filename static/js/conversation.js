/**
 * What the victim and the officer write to each other beside the call. It is shown as text alone, kept nowhere in the
 * browser, and gone from the screen as soon as the desk does not tell it any more.
 */

import { randomId } from "./random-id.js";

/** @typedef {{n: number, side: string, text: string}} Message */

export class Conversation {
  #root;
  #roles;
  #send;
  /** The number of the newest one that is shown. */
  #newest = 0;

  /**
   * @param {HTMLElement} root  with the parts `list`, `text`, `form` and `open`
   * @param {Record<string, string>} roles
   * @param {(body: {text: string, command_id: string}) => Promise<boolean>} send  whether the desk has it
   */
  constructor(root, roles, send) {
    this.#root = root;
    this.#roles = roles;
    this.#send = send;
    this.#part("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say();
    });
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(`[data-part="${name}"]`));
  }

  /** All that has been written, the oldest first. @param {Message[]} messages */
  show(messages) {
    const newest = messages.at(-1)?.n ?? 0;
    if (newest === this.#newest) return;
    this.#part("list").replaceChildren(...messages.map((one) => this.#line(one)));
    // What the other side writes has to be seen; what was hidden stays closed.
    if (newest > this.#newest && messages.at(-1)?.side !== "victim") this.#root.setAttribute("open", "");
    if (!newest) this.#root.removeAttribute("open");
    this.#newest = newest;
  }

  /** @param {Message} one */
  #line(one) {
    const line = document.createElement("li");
    const who = document.createElement("strong");
    who.textContent = this.#roles[one.side === "victim" ? "you" : one.side];
    line.append(who, ` ${one.text}`);
    return line;
  }

  async #say() {
    const box = /** @type {HTMLTextAreaElement} */ (this.#part("text"));
    const text = box.value.trim();
    if (!text || box.readOnly) return;
    box.readOnly = true;
    if (await this.#send({ text, command_id: randomId() })) box.value = "";
    box.readOnly = false;
    box.focus();
  }
}
