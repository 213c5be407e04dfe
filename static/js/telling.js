/**
 * Facts that only this browser can see, told to the desk until it has heard them. Of one kind the newest counts: what
 * was true while nothing could be told is not told later as if it were now.
 */

import { CallError, TryLater } from "./call-error.js";
import { randomId } from "./random-id.js";

/** A fact that could not be told for this long is no news any more. */
const OLD_MS = 60_000;
const AGAIN_MS = 1000;

export class Telling {
  #send;
  #stopped = false;
  /** @type {Map<string, {body: object, seenAt: number}>} */ #untold = new Map();
  /** @type {Set<string>} */ #busy = new Set();

  /** @param {(what: string, body: object) => Promise<void>} send */
  constructor(send) {
    this.#send = send;
  }

  stop() {
    this.#stopped = true;
  }

  /** @param {string} what @param {object} fact */
  async tell(what, fact) {
    this.#untold.set(what, { body: { ...fact, command_id: randomId() }, seenAt: performance.now() });
    if (this.#busy.has(what)) return;
    this.#busy.add(what);
    for (let next = this.#untold.get(what); next && !this.#stopped; next = this.#untold.get(what)) {
      const waitMs = await this.#tried(what, next.body);
      const told = waitMs === 0 || performance.now() - next.seenAt > OLD_MS;
      if (told && this.#untold.get(what) === next) this.#untold.delete(what);
      if (waitMs) await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
    this.#busy.delete(what);
  }

  /** @param {string} what @param {object} body @returns {Promise<number>} 0: settled; else when to try again, in ms */
  async #tried(what, body) {
    try {
      await this.#send(what, body);
    } catch (error) {
      // Refused for good: the session is over, and nobody needs to know any more.
      if (!(error instanceof CallError)) return Math.max(AGAIN_MS, error instanceof TryLater ? error.afterMs : 0);
    }
    return 0;
  }
}
