/**
 * Whether the microphone brings sound. A telephone call takes it from the page: the track is then muted by the browser,
 * or delivers nothing but zeros. A quiet room is never quite silent, so zeros alone are told only after a while.
 */

/** @typedef {import("./line-stats.js").LineStats} LineStats */
/** @typedef {"works"|"none"|"taken"|"silent"} Cause  none: it could not be had; taken: the browser says so; silent: nothing but zeros */

const SILENT_MS = 6000;
/** How long it must be so before it is told. */
const PATIENCE_MS = { works: 500, none: 0, taken: 1000, silent: 0 };

/** Events (CustomEvent): `microphone` {cause}, when that is another. */
export class Microphone extends EventTarget {
  /** @type {Cause} What was told last. */ cause = "works";
  /** @type {Cause} */ #seen = "works";
  #since = 0;
  #energy = -1;
  #movedAt = 0;

  /**
   * @param {MediaStreamTrack|undefined} track
   * @param {boolean} switchedOff  by the person
   * @param {LineStats} stats
   */
  look(track, switchedOff, stats) {
    const now = performance.now();
    if (stats.micEnergy !== this.#energy || switchedOff || !track) this.#movedAt = now;
    this.#energy = stats.micEnergy;
    // Switched off it brings nothing either way; only that the browser gave it back can be seen then.
    const given = ["none", "taken"].includes(this.cause) && track && !track.muted ? "works" : this.cause;
    const cause = switchedOff ? given : this.#seenOn(track, now);
    if (cause !== this.#seen) {
      this.#seen = cause;
      this.#since = now;
    }
    if (cause === this.cause || now - this.#since < PATIENCE_MS[cause]) return;
    this.cause = cause;
    this.dispatchEvent(new CustomEvent("microphone", { detail: { cause } }));
  }

  /** @param {MediaStreamTrack|undefined} track @param {number} now @returns {Cause} */
  #seenOn(track, now) {
    if (!track) return "none";
    if (track.muted) return "taken";
    return now - this.#movedAt > SILENT_MS ? "silent" : "works";
  }
}
