/**
 * Tells the desk every few seconds that this page is there, and at once when it is hidden, closed or back. What of it is
 * noted, the desk decides; a page that was closed and is opened again has its seat.
 */

/** The desk takes two and a half times as much silence for an absence (rvr/attendance.py). */
const EVERY_MS = 10_000;

export class Attending {
  #send;
  #timer = 0;

  /** @param {(state: "here"|"hidden"|"closed", leaving: boolean) => void} send  must not throw */
  constructor(send) {
    this.#send = send;
  }

  start() {
    if (this.#timer) return;
    this.#timer = setInterval(this.#say, EVERY_MS);
    document.addEventListener("visibilitychange", this.#say);
    addEventListener("pagehide", this.#closing);
    addEventListener("pageshow", this.#say);
    this.#say();
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
    document.removeEventListener("visibilitychange", this.#say);
    removeEventListener("pagehide", this.#closing);
    removeEventListener("pageshow", this.#say);
  }

  // A hidden page may be gone in a moment: the request outlives it.
  #say = () => this.#send(document.hidden ? "hidden" : "here", document.hidden);

  #closing = () => this.#send("closed", true);
}
