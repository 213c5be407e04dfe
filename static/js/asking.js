/** What a page that was opened by a link asks the desk and tells it: one request, or until it is heard. */

/** Waits before a request is made again, in ms; the last one repeats. */
const BACKOFF_MS = [500, 1000, 2000, 4000, 5000];
/** An answer that takes longer is not waited for: the request is made again. */
const HUNG_MS = 8000;
/** What HTTP says when trying again may help. */
const PASSES = new Set([401, 403, 408, 409, 429]);

/** A network that comes back ends the wait. @param {number} ms */
export function pause(ms) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve(undefined);
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
  });
}

export class Asking {
  csrf = "";
  /** The call has ended: nothing more is told. */
  over = false;
  #renew;

  /**
   * @param {string} api  the beginning of every address
   * @param {() => Promise<number>} renew  has the desk name the page's right anew; the status
   */
  constructor(api, renew) {
    this.api = api;
    this.#renew = renew;
  }

  /** @param {string} path @param {object} [body] @param {boolean} [keepalive]  it outlives the page */
  async post(path, body = {}, keepalive = false) {
    const headers = { "Content-Type": "application/json", ...(this.csrf ? { "X-CSRF-Token": this.csrf } : {}) };
    const given = new AbortController();
    const timer = setTimeout(() => given.abort(), HUNG_MS);
    const request = { method: "POST", headers, body: JSON.stringify(body), keepalive, signal: given.signal };
    try {
      return await fetch(this.api + path, { ...request, cache: "no-store" });
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Told until the desk has heard it, for as long as the call lasts; the desk knows the same press again.
   * @param {string} path @param {object} body  with its `command_id`
   * @param {(status: number) => void} [missed]  a try came to nothing; 0: no answer
   * @returns {Promise<number>} the status; from 400 on it is settled otherwise; 0: the call is over
   */
  async insist(path, body, missed = () => {}) {
    for (let tries = 0; !this.over; tries += 1) {
      const status = await this.#once(path, body);
      if (status >= 200 && status < 500 && !PASSES.has(status)) return status;
      missed(status);
      await pause(BACKOFF_MS[Math.min(tries, BACKOFF_MS.length - 1)]);
    }
    return 0;
  }

  /** With a renewed right where the desk does not know the old one. @param {string} path @param {object} body */
  async #once(path, body) {
    try {
      const { status } = await this.post(path, body, true);
      const stale = status === 401 || status === 403;
      return stale && (await this.#renew()) === 200 ? (await this.post(path, body, true)).status : status;
    } catch {
      return 0;
    }
  }
}
