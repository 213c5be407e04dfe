/** Whether the desk can be reached, tried over and over while the network is away. */

import { CallError } from "./call-error.js";

/** How often it is tried, and how long each time: four tries are under way together. One that began before the network
 * came back waits for the kernel's own repetition, whose pauses double; the next one goes out at once. */
const TRY_MS = 700;
const TRIED_MS = 2800;

export class Reach {
  #given = new AbortController();
  /** @type {(() => void)|null} */ #next = null;

  /** Try at once: the browser says that there is a network. */
  hurry() {
    this.#next?.();
  }

  giveUp() {
    this.#given.abort();
    this.#next?.();
  }

  /**
   * @param {(signal: AbortSignal) => Promise<void>} ask
   * @returns {Promise<boolean>} false: given up
   * @throws {CallError} the desk answers, and nothing can be had from it
   */
  async until(ask) {
    /** @type {{error: CallError|null}|null} */ let answer = null;
    const answered = (/** @type {unknown} */ error) => {
      if (error !== null && !(error instanceof CallError)) return;
      answer ??= { error };
      this.#next?.();
    };
    const tries = new Set();
    while (!answer && !this.#given.signal.aborted) {
      const one = new AbortController();
      tries.add(one);
      const late = setTimeout(() => one.abort(), TRIED_MS);
      ask(one.signal).then(() => answered(null), answered).finally(() => {
        clearTimeout(late);
        tries.delete(one);
      });
      await new Promise((resolve) => {
        this.#next = () => resolve(undefined);
        setTimeout(resolve, TRY_MS);
      });
    }
    for (const one of tries) one.abort();
    const found = /** @type {{error: CallError|null}|null} */ (answer);
    if (found?.error) throw found.error;
    return Boolean(found);
  }
}
