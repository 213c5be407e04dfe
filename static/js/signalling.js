/**
 * What a call says to the desk by HTTP (after WHIP, RFC 9725): an offer and its answer, leaving, and before each the
 * servers through which the media plane is reached, whose credentials live for minutes.
 */

import { CallError, TryLater } from "./call-error.js";
import { randomId } from "./random-id.js";

/**
 * @typedef {object} Ice      as the desk tells it
 * @property {RTCIceServer[]} ice_servers
 * @property {RTCIceTransportPolicy} ice_policy  `relay` hides this browser's address from all but the TURN server
 * @property {number} ice_lifetime_s             0: for ever
 */

/** An answer that takes longer is given up, and asked for anew. */
const ANSWER_MS = 8000;
/** What HTTP says when trying again would change nothing; 401 and 403 are here, for the page must sign in anew. */
const FINAL_STATUS = new Set([400, 401, 403, 404, 405, 409, 410, 415, 422]);

/** Some media engines make the offer themselves for what is received; then this header of the answer says where. */
const RECEIVED_APART = /<([^>]+)>; *rel="receive"/;

/**
 * @callback Receive
 * @param {string} answer     nothing: the offer is asked for; otherwise the answer to it
 * @returns {Promise<string>} the offer, or nothing
 */

/**
 * @typedef {object} Exchange
 * @property {string} answer          to what was offered
 * @property {Receive|null} receive   the second exchange, where what is received comes over a connection of its own
 */

export class Signalling {
  #url;
  #location = "";
  /** By which the desk tells two pages in one seat apart: the newest one keeps it. */
  #page = randomId(12);
  /** @type {Ice|undefined} */ #ice;
  #told = 0;

  /**
   * @param {string} url  of the seat
   * @param {string} csrf
   * @param {Ice} [ice]   what the desk has told the page already
   */
  constructor(url, csrf, ice) {
    this.#url = url;
    this.csrf = csrf;
    if (ice) this.#keep(ice);
  }

  get #headers() {
    return { "X-CSRF-Token": this.csrf, "X-RVR-Page": this.#page };
  }

  /** Whether what is known of the servers will serve for a join, and for the time that it may take. */
  get fresh() {
    const lifetimeMs = (this.#ice?.ice_lifetime_s ?? -1) * 1000;
    return lifetimeMs === 0 || performance.now() - this.#told < lifetimeMs / 2;
  }

  /** @returns {RTCConfiguration} what is known of the servers now; always an explicit list */
  get configuration() {
    return {
      iceServers: this.#ice?.ice_servers ?? [],
      iceTransportPolicy: this.#ice?.ice_policy ?? "all",
      bundlePolicy: "max-bundle",
    };
  }

  /** @param {Ice} ice */
  #keep(ice) {
    this.#ice = ice;
    this.#told = performance.now();
  }

  /**
   * Ask for the servers anew: fresh credentials, and proof that the desk can be reached.
   * @param {AbortSignal} [signal]
   * @throws {CallError} when the seat is no more; anything else may be tried again
   */
  async renew(signal) {
    const response = await fetch(this.#url, { ...this.#request(signal), headers: this.#headers });
    if (!response.ok) throw await refusal(response);
    this.#keep(await response.json());
  }

  /**
   * Post the offer.
   * @param {string} sdp
   * @param {boolean} again  by itself, after a break: then a seat that another page has taken meanwhile stays with that
   * @param {AbortSignal} signal
   * @returns {Promise<Exchange>}
   * @throws {CallError} when the desk refuses for good; anything else may be tried again
   */
  async offer(sdp, again, signal) {
    const headers = { ...this.#headers, "Content-Type": "application/sdp", Accept: "application/sdp" };
    const response = await fetch(this.#url, {
      ...this.#request(signal),
      method: "POST",
      headers: again ? { ...headers, "X-RVR-Again": "yes" } : headers,
      body: sdp,
    });
    if (!response.ok) throw await refusal(response);
    this.#location = response.headers.get("Location") ?? this.#url;
    const [, apart] = RECEIVED_APART.exec(response.headers.get("Link") ?? "") ?? [];
    return { answer: await response.text(), receive: apart ? this.#receiver(apart, headers, signal) : null };
  }

  /** @param {string} url @param {Record<string, string>} headers @param {AbortSignal} signal @returns {Receive} */
  #receiver(url, headers, signal) {
    return async (answer) => {
      const method = answer ? "PATCH" : "POST";
      const response = await fetch(url, { ...this.#request(signal), method, headers, body: answer });
      if (!response.ok) throw await refusal(response);
      return await response.text();
    };
  }

  /**
   * Something that only this browser can see, for the timing log.
   * @param {string} what
   * @param {object} body
   */
  async tell(what, body) {
    const headers = { ...this.#headers, "Content-Type": "application/json" };
    const request = { ...this.#request(), method: "POST", headers, body: JSON.stringify(body) };
    const response = await fetch(`${this.#url}/${what}`, request);
    if (!response.ok) throw await refusal(response);
  }

  /** Leave the seat, with a request that outlives the page. */
  async leave() {
    const url = this.#location || this.#url;
    this.#location = "";
    await fetch(url, { method: "DELETE", headers: this.#headers, credentials: "same-origin", keepalive: true });
  }

  /** @param {AbortSignal} [signal] @returns {RequestInit} */
  #request(signal) {
    const late = AbortSignal.timeout(ANSWER_MS);
    return { credentials: "same-origin", cache: "no-store", signal: signal ? either(signal, late) : late };
  }
}

/** `AbortSignal.any` is missing from older phones. @param {AbortSignal} one @param {AbortSignal} other */
function either(one, other) {
  const controller = new AbortController();
  for (const signal of [one, other]) {
    if (signal.aborted) controller.abort();
    signal.addEventListener("abort", () => controller.abort(), { once: true });
  }
  return controller.signal;
}

/** @param {Response} response */
async function refusal(response) {
  if (!FINAL_STATUS.has(response.status)) return new TryLater(Number(response.headers.get("Retry-After") ?? 0) * 1000);
  const problem = await response.json().catch(() => ({}));
  return new CallError(problem.code ?? `http-${response.status}`);
}
