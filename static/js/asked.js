/**
 * Which of the open questions stands on the screen, and when its buttons can be pressed. A question stays until it is
 * answered or taken back, however urgent the next one is: a tap that was meant for one must not answer another. For the
 * same reason a new one is there to be read before it can be answered.
 */

/** Chromium lets nobody answer a new prompt for 500 ms (InputEventActivationProtector), Firefox for 1000 ms (security.dialog_enable_delay). */
export const READ_MS = 700;

const readable = () => new Promise((resolve) => setTimeout(resolve, READ_MS));

export class Asked {
  /** The one that stands there; nothing: none. */
  one = "";
  #buttons;
  /** Grows with each wait: only the newest one ends with buttons that can be pressed. */
  #turn = 0;

  /** @param {{disabled: boolean}[]} buttons */
  constructor(...buttons) {
    this.#buttons = buttons;
  }

  /** @param {string[]} open  the most urgent first @returns {boolean} whether another one stands there now, or none any more */
  show(open) {
    if (this.one ? open.includes(this.one) : !open.length) return false;
    this.one = open[0] ?? "";
    this.#rest(readable());
    return true;
  }

  /** An answer is on its way: no second one until it has been heard, and until the desk can have told so. @param {Promise<unknown>} sent */
  answering(sent) {
    this.#rest(sent.then(readable, readable));
  }

  /** @param {Promise<unknown>} until */
  async #rest(until) {
    const mine = ++this.#turn;
    for (const button of this.#buttons) button.disabled = true;
    await until;
    if (mine === this.#turn) for (const button of this.#buttons) button.disabled = false;
  }
}
