/**
 * Who types or presses is here, also where nothing of it is sent: an officer who talks and writes down for a quarter of
 * an hour must not be signed out in the middle of a call. A small request says so, once a minute at most, and never
 * without a hand. What ends soon is told while there is time to keep it, or to send what was typed.
 */

/** As often as the desk writes down that a sign-in is in use (auth.SEEN_EVERY_S): what it has written may be as old. */
export const EVERY_MS = 60_000;
/** A sign-in that nobody uses is told of so long before the page would take it for ended: a minute, and that age. */
export const SOON_MS = 2 * EVERY_MS;
/** The end that nothing puts off: time to finish a sentence, and the form. */
export const LAST_MS = 600_000;
const LOOK_MS = 2000;

/** @typedef {""|"idle"|"last"} Ending  what is to be told */

export class Here {
  #idleMs;
  #ask;
  #asking = false;
  /** When the desk heard last that somebody is here. */
  #heard = Date.now();
  /** When the sign-in ends in any case, by this machine's clock. */
  ends;

  /**
   * @param {number} idleMs  how long a sign-in lasts without a request
   * @param {number} leftMs  how long this one lasts in any case
   * @param {() => Promise<boolean>} ask  tells the desk; whether it has heard
   */
  constructor(idleMs, leftMs, ask) {
    [this.#idleMs, this.#ask] = [idleMs, ask];
    this.ends = Date.now() + leftMs;
  }

  /** @returns {Ending} */
  get ending() {
    if (Date.now() > this.#heard + this.#idleMs - SOON_MS) return "idle";
    return Date.now() > this.ends - LAST_MS ? "last" : "";
  }

  /** Another page of this sign-in was used: the desk has heard of it. */
  heard() {
    this.#heard = Date.now();
  }

  /** Somebody typed or pressed. @returns {Promise<boolean>} whether the desk was told */
  async used() {
    if (this.#asking || (Date.now() - this.#heard < EVERY_MS && this.ending !== "idle")) return false;
    this.#asking = true;
    try {
      const done = await this.#ask();
      if (done) this.heard();
      return done;
    } finally {
      this.#asking = false;
    }
  }
}

/** @param {HTMLElement|null} banner */
export function stayHere(banner) {
  const { csrf, idle, left } = document.body.dataset;
  if (!banner || !csrf) return;
  const words = JSON.parse(document.body.dataset.words || "{}");
  const [text, button] = /** @type {HTMLElement[]} */ ([...banner.children]);
  const here = new Here(Number(idle) * 1000, Number(left) * 1000, renewed);
  const pages = new BroadcastChannel(`rvr-here ${csrf}`);
  const look = () => {
    const ending = here.ending;
    const said = ending && words[`here_${ending}`].replace("{time}", new Date(here.ends).toTimeString().slice(0, 5));
    if (text.textContent !== said) text.textContent = said;
    button.hidden = ending !== "idle";
    banner.hidden = !ending;
  };
  const watch = setInterval(look, LOOK_MS);
  pages.onmessage = () => {
    here.heard();
    look();
  };
  pages.postMessage(""); // this page was asked for just now
  for (const type of ["input", "keydown", "pointerdown"]) {
    document.addEventListener(type, async ({ isTrusted }) => {
      if (!isTrusted || !(await here.used())) return;
      pages.postMessage("");
      look();
    });
  }
  document.addEventListener("signedout", () => {
    clearInterval(watch);
    pages.close();
    banner.hidden = true;
  });
}

/** Every request renews the sign-in; this one does nothing else. */
async function renewed() {
  try {
    const response = await fetch("/api/v1/session", { cache: "no-store" });
    if (response.status === 401) document.dispatchEvent(new CustomEvent("signedout"));
    return response.ok;
  } catch {
    return false; // the next key tries again
  }
}
