/**
 * The live part of a page: each message is the whole fragment, morphed in so that focus and typed text stay. It comes
 * by the stream that all tabs of this sign-in share; where that cannot be, by a stream of this page's own.
 */

import { SILENT_MS, Stream } from "./stream.js";

/** @typedef {import("./stream.js").Heard} Heard */

const WORKER = new URL("./stream.js", import.meta.url);

/**
 * @param {HTMLElement} target
 * @param {string} html
 * @returns {Promise<void>}
 */
export async function morph(target, html) {
  const before = new Set([...target.querySelectorAll("details")].map((part) => part.id));
  // @ts-ignore - htmx is a classic script
  await window.htmx.swap({ text: html, target, sourceElement: target, swap: "innerMorph" });
  // What was there stays as the reader left it; a new part is as the server wants it, whatever it was made of.
  for (const part of target.querySelectorAll("details")) {
    if (!before.has(part.id)) part.open = part.hasAttribute("data-open");
  }
  target.dispatchEvent(new CustomEvent("fragment", { bubbles: true }));
}

/**
 * A small part beside the page's own. Without a stream that is shared it would take a connection of its own from a
 * browser that has six: the page does without.
 * @param {HTMLElement} target @param {string} topic
 */
export function followBeside(target, topic) {
  if ("SharedWorker" in window) follow(target, topic);
}

/**
 * Events on `target`: `fragment` after each swap; `live` {since: Date|null} when the line is lost or back;
 * `signedout` when nothing more will come.
 * @param {HTMLElement} target @param {string} topic
 * @param {number} position  of the feed, up to which `target` shows everything; 0: nothing of it is shown yet
 */
export function follow(target, topic, position = 0) {
  const show = newest((html) => morph(target, html));
  /** @type {Date|null} */
  let lost = null;
  const tell = (/** @type {Date|null} */ since) => {
    if (Boolean(since) === Boolean(lost)) return;
    lost = since;
    target.dispatchEvent(new CustomEvent("live", { bubbles: true, detail: { since } }));
  };
  listen(document.body.dataset.csrf ?? "", { topic, position }, (message) => {
    if (message.type === "live") tell(message.since);
    else if (message.type === "gone") gone(target);
    else if (message.type === "signedout") target.dispatchEvent(new CustomEvent("signedout", { bubbles: true }));
    else if (message.type === "fragment") {
      tell(null);
      show(message.html);
    }
  });
}

/** What may no longer be seen leaves the screen; the server's own page then says why. @param {HTMLElement} target */
function gone(target) {
  target.replaceChildren();
  location.reload();
}

/** One at a time; what was overtaken while it waited is left out. @param {(html: string) => Promise<void>} swap */
function newest(swap) {
  let [waiting, busy] = ["", false];
  return async (/** @type {string} */ html) => {
    waiting = html;
    if (busy) return;
    busy = true;
    try {
      for (let next = waiting; next; next = waiting) {
        waiting = "";
        await swap(next);
      }
    } finally {
      busy = false;
    }
  };
}

/** @param {string} key @param {import("./stream.js").Shown} shown @param {(message: Heard) => void} hear */
function listen(key, shown, hear) {
  const alone = () => new Stream(key, hear).carry(new Map([[shown.topic, shown.position]]));
  if (!("SharedWorker" in window)) {
    alone();
    return;
  }
  const shared = new Shared(key, shown, hear, alone);
  addEventListener("pagehide", () => shared.leave());
  addEventListener("pageshow", (event) => event.persisted && shared.join());
  shared.join();
}

/** This tab's place at the shared stream. A worker that says nothing is asked again, then done without. */
class Shared {
  #key;
  #shown;
  #hear;
  #alone;
  /** @type {MessagePort|null} */ #port = null;
  #heard = new Date();
  #tries = 0;
  #watch = 0;

  /**
   * @param {string} key @param {import("./stream.js").Shown} shown @param {(message: Heard) => void} hear
   * @param {() => void} alone
   */
  constructor(key, shown, hear, alone) {
    [this.#key, this.#shown, this.#hear, this.#alone] = [key, shown, hear, alone];
  }

  join() {
    this.#close();
    this.#heard = new Date();
    this.#watch = window.setInterval(() => this.#look(), 1000);
    try {
      const worker = new SharedWorker(WORKER, { type: "module", name: this.#key });
      worker.onerror = () => this.#giveUp(worker.port);
      this.#port = worker.port;
    } catch {
      this.#giveUp(this.#port);
      return;
    }
    this.#port.onmessage = ({ data }) => this.#take(data);
    this.#port.postMessage(this.#shown);
  }

  /** The page is left, or has heard all that it will. */
  leave() {
    this.#port?.postMessage({ topic: "" });
    this.#close();
  }

  #close() {
    clearInterval(this.#watch);
    this.#port?.close();
    this.#port = null;
  }

  /** @param {Heard} message */
  #take(message) {
    [this.#heard, this.#tries] = [new Date(), 0];
    if (message.type === "beat") {
      this.#port?.postMessage(this.#shown);
      return;
    }
    if (message.type === "fragment") this.#shown.position = Math.max(this.#shown.position, message.position);
    if (message.type === "gone" || message.type === "signedout") this.leave();
    this.#hear(message);
  }

  /** The worker beats every few seconds: it is there. */
  #look() {
    if (Date.now() - this.#heard.getTime() < SILENT_MS) return;
    this.#hear({ type: "live", since: this.#heard });
    this.#tries += 1;
    if (this.#tries < 2) this.join();
    else this.#giveUp(this.#port);
  }

  /** @param {MessagePort|null} port */
  #giveUp(port) {
    if (port !== this.#port) return;
    this.#close();
    this.#alone();
  }
}
