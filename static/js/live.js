/**
 * The live feed of a page: each message is the whole fragment, morphed in so that focus and typed text stay.
 * It reads the stream by hand, so that a silent line is noticed by its missing pings: an EventSource neither shows
 * comments nor comes back after a refused answer, and a board that looks live and is not is a safety fault.
 */

/** The server sends something at least every ten seconds. */
const SILENT_MS = 18_000;
const BACKOFF_MS = [300, 1000, 2000, 4000];

/**
 * @param {HTMLElement} target
 * @param {string} html
 * @returns {Promise<void>}
 */
export async function morph(target, html) {
  // @ts-ignore - htmx is a classic script
  await window.htmx.swap({ text: html, target, sourceElement: target, swap: "innerMorph" });
  target.dispatchEvent(new CustomEvent("fragment", { bubbles: true }));
}

/**
 * Events on `target`: `fragment` after each swap; `live` {since: Date|null} when the line is lost or back;
 * `signedout` when nothing more will come.
 * @param {HTMLElement} target
 */
export async function follow(target) {
  const url = target.dataset.live ?? "";
  let [failures, lastId] = [0, ""];
  /** @type {Date|null} */
  let lost = null;
  const tell = (/** @type {Date|null} */ since) => {
    if (Boolean(since) === Boolean(lost)) return;
    lost = since;
    target.dispatchEvent(new CustomEvent("live", { bubbles: true, detail: { since } }));
  };
  for (;;) {
    let heard = new Date();
    const stop = new AbortController();
    const watch = setInterval(() => {
      if (Date.now() - heard.getTime() > SILENT_MS) stop.abort();
    }, 1000);
    try {
      const headers = { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) };
      const response = await fetch(url, { headers, signal: stop.signal, cache: "no-store" });
      if (response.status === 401 || response.status === 403 || response.status === 404) {
        target.dispatchEvent(new CustomEvent("signedout", { bubbles: true }));
        return;
      }
      if (!response.ok || !response.body) throw new Error(String(response.status));
      for await (const message of read(response.body, () => (heard = new Date()))) {
        failures = 0;
        tell(null);
        if (message.id) lastId = message.id;
        if (message.event === "signed-out") {
          target.dispatchEvent(new CustomEvent("signedout", { bubbles: true }));
          return;
        }
        if (message.data) await morph(target, message.data);
      }
    } catch {
      // Told below, like a stream that ended: either way the line is lost.
    } finally {
      clearInterval(watch);
    }
    // One quiet reconnection is no news; a second failure is.
    if (failures > 0 || stop.signal.aborted) tell(heard);
    await new Promise((resolve) => setTimeout(resolve, BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)]));
    failures += 1;
  }
}

/**
 * The messages of an event stream (WHATWG HTML, 9.2). `alive` is called for every byte that comes, pings included.
 * @param {ReadableStream<Uint8Array>} body
 * @param {() => void} alive
 */
async function* read(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let message = { id: "", event: "", data: "" };
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        yield message;
        message = { id: "", event: "", data: "" };
      } else if (line.startsWith("data: ")) {
        message.data += (message.data ? "\n" : "") + line.slice(6);
      } else if (line.startsWith("id: ")) {
        message.id = line.slice(4);
      } else if (line.startsWith("event: ")) {
        message.event = line.slice(7);
      }
    }
  }
}
