/**
 * One live stream for all tabs of a sign-in. A browser opens six connections to a host: with a stream for each tab, the
 * seventh tab could neither hear nor send. As a shared worker this file holds the stream of what all tabs show; a page
 * in a browser without shared workers imports `Stream` and holds its own.
 *
 * The stream is read by hand, so that a silent line is noticed by its missing pings: an EventSource neither shows
 * comments nor comes back after a refused answer, and a board that looks live and is not is a safety fault.
 */

/**
 * What a page hears: the whole fragment of its topic; `gone` when it may no longer be seen; `live` with the time since
 * which the line is lost, or null; `signedout` when nothing more will come; from the worker also `beat`.
 * @typedef {{type: "fragment", topic: string, html: string, position: number} | {type: "gone", topic: string}
 *   | {type: "live", since: Date|null} | {type: "signedout"} | {type: "beat"}} Heard
 */

/** A topic, and the position of the feed up to which a page shows all of it. @typedef {{topic: string, position: number}} Shown */

/** The server sends something at least every ten seconds. */
export const SILENT_MS = 18_000;
const BACKOFF_MS = [300, 1000, 2000, 4000];

/** Tabs that open together share one opening of the stream; a tab that goes may be on its way to another page. */
const JOIN_MS = 50;
const LEAVE_MS = 1000;

/** A tab that leaves this many beats unanswered is taken for closed; if it only slept, its answer joins again. */
const BEAT_MS = 5000;
const BEATS = 5;

/** As many topics as the server sends on one stream. */
const MOST = 20;

export class Stream {
  #key;
  #hear;
  /** What is carried, and up to where it is shown. @type {Map<string, number>} */ #topics = new Map();
  /** @type {Date|null} */ #lost = null;
  #heard = new Date();
  #failures = 0;
  #running = false;
  #stop = new AbortController();

  /** @param {string} key the page's CSRF token: which sign-in asks @param {(message: Heard) => void} hear */
  constructor(key, hear) {
    this.#key = key;
    this.#hear = hear;
  }

  get lost() {
    return this.#lost;
  }

  /** Carries these topics from now on. What has changed since each was shown comes first. @param {Map<string, number>} wanted */
  carry(wanted) {
    const enough = ([topic, position]) => position >= (this.#topics.get(topic) ?? Infinity);
    if (wanted.size === this.#topics.size && [...wanted].every(enough)) return;
    this.#topics = new Map(wanted);
    this.#stop.abort();
    if (!this.#running) this.#run();
  }

  async #run() {
    this.#running = true;
    this.#heard = new Date();
    while (this.#topics.size) {
      const topics = this.#topics;
      const silent = await this.#once(topics);
      if (topics !== this.#topics) continue;
      // One quiet reconnection is no news; a second failure is.
      if (this.#failures > 0 || silent) this.#tell(this.#heard);
      await this.#pause(BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)]);
      this.#failures += 1;
    }
    this.#running = false;
  }

  /** Reads until the line ends, for whatever reason; true if it fell silent. @param {Map<string, number>} topics */
  async #once(topics) {
    const stop = (this.#stop = new AbortController());
    let [silent, heard] = [false, Date.now()];
    const alive = () => (this.#heard = new Date((heard = Date.now())));
    const watch = setInterval(() => {
      silent = Date.now() - heard > SILENT_MS;
      if (silent) stop.abort();
    }, 1000);
    try {
      const headers = { Accept: "text/event-stream", "X-CSRF-Token": this.#key };
      const url = `/live?since=${[...topics.values()].join(",")}&topics=${[...topics.keys()].join(",")}`;
      const response = await fetch(url, { headers, signal: stop.signal, cache: "no-store" });
      if (response.status === 401 || response.status === 403) this.#end();
      if (!response.ok || !response.body) return false;
      for await (const message of read(response.body, alive)) {
        if (stop.signal.aborted) break;
        this.#take(message, topics);
      }
    } catch {
      // Told by the caller, like a stream that ended: either way the line is lost.
    } finally {
      clearInterval(watch);
    }
    return silent;
  }

  /** @param {{id: string, event: string, data: string}} message @param {Map<string, number>} topics */
  #take(message, topics) {
    this.#failures = 0;
    this.#tell(null);
    if (message.event === "gone") {
      topics.delete(message.data);
      this.#hear({ type: "gone", topic: message.data });
    } else if (message.data) {
      const position = Number(message.id);
      topics.set(message.event, position);
      this.#hear({ type: "fragment", topic: message.event, html: message.data, position });
    }
  }

  #end() {
    this.#topics = new Map();
    this.#hear({ type: "signedout" });
  }

  /** @param {Date|null} since */
  #tell(since) {
    if (Boolean(since) === Boolean(this.#lost)) return;
    this.#lost = since;
    this.#hear({ type: "live", since });
  }

  /** Waits, or until other topics are wanted. @param {number} ms */
  #pause(ms) {
    const stop = (this.#stop = new AbortController());
    return new Promise((resolve) => {
      setTimeout(resolve, ms);
      stop.signal.addEventListener("abort", resolve);
    });
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
      } else if (line.startsWith("id: ")) {
        message.id = line.slice(4);
      } else if (line.startsWith("data: ")) {
        message.data += (message.data ? "\n" : "") + line.slice(6);
      } else if (line.startsWith("event: ")) {
        message.event = line.slice(7);
      }
    }
  }
}

/**
 * A tab that is open: what it shows, since when, how many beats it left unanswered, and whether it is one too many.
 * @typedef {Shown & {since: Date, unanswered: number, over: boolean}} Tab
 */

/** The worker's side: which tab shows what, and what it is told. */
class Tabs {
  /** @type {Map<MessagePort, Tab>} */ #tabs = new Map();
  /** The last fragment of each topic that is carried. @type {Map<string, Heard>} */ #last = new Map();
  #timer = 0;
  #due = Infinity;
  #stream;

  /** @param {string} key */
  constructor(key) {
    this.#stream = new Stream(key, (message) => this.#spread(message));
    setInterval(() => this.#beat(), BEAT_MS);
  }

  /** A tab says what it shows: at first, and in answer to each beat. @param {MessagePort} port */
  welcome(port) {
    port.onmessage = ({ data }) => (data.topic ? this.#join(port, data) : this.#leave(port));
    port.addEventListener("close", () => this.#leave(port)); // not in every browser: the beats are for the others
  }

  /** @param {MessagePort} port @param {Shown} shown */
  #join(port, { topic, position }) {
    const known = this.#tabs.get(port);
    if (known) {
      known.unanswered = 0;
      return;
    }
    this.#tabs.set(port, { topic, position, since: new Date(), unanswered: 0, over: false });
    this.#state();
    const last = this.#stream.lost ? undefined : this.#last.get(topic);
    if (last?.type === "fragment" && last.position >= position) this.#show(port, last);
    this.#soon(JOIN_MS);
  }

  /** @param {MessagePort} port */
  #leave(port) {
    if (this.#tabs.delete(port)) this.#soon(LEAVE_MS);
  }

  #beat() {
    for (const [port, tab] of this.#tabs) {
      tab.unanswered += 1;
      if (tab.unanswered > BEATS) this.#leave(port);
      else port.postMessage({ type: "beat" });
    }
  }

  /** @param {number} ms */
  #soon(ms) {
    const due = Date.now() + ms;
    if (due >= this.#due) return;
    this.#due = due;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#settle(), ms);
  }

  /** The stream carries what is shown by now; tabs that were there first come first. */
  #settle() {
    this.#due = Infinity;
    /** Topic -> what the tab that is furthest behind shows of it. @type {Map<string, number>} */
    const shown = new Map();
    for (const { topic, position } of this.#tabs.values()) {
      shown.set(topic, Math.min(position, shown.get(topic) ?? position));
    }
    const carried = new Map([...shown].slice(0, MOST));
    this.#stream.carry(carried);
    for (const topic of this.#last.keys()) if (!carried.has(topic)) this.#last.delete(topic);
    for (const tab of this.#tabs.values()) tab.over = !carried.has(tab.topic);
    this.#state();
  }

  /** Tells each tab whether it is live. */
  #state() {
    for (const [port, tab] of this.#tabs) {
      port.postMessage({ type: "live", since: tab.over ? tab.since : this.#stream.lost });
    }
  }

  /** @param {Heard} message */
  #spread(message) {
    if (message.type === "live") this.#state();
    else if (message.type === "fragment") this.#fragment(message);
    else this.#over(message);
  }

  /** @param {Heard & {type: "fragment"}} message */
  #fragment(message) {
    this.#last.set(message.topic, message);
    for (const [port, tab] of this.#tabs) if (tab.topic === message.topic) this.#show(port, message);
  }

  /** @param {MessagePort} port @param {Heard & {type: "fragment"}} message */
  #show(port, message) {
    const tab = this.#tabs.get(port);
    if (tab) tab.position = Math.max(tab.position, message.position);
    port.postMessage(message);
  }

  /** Nothing more will come: of one topic, or at all. @param {Heard} message */
  #over(message) {
    const only = message.type === "gone" ? message.topic : "";
    for (const topic of this.#last.keys()) if (!only || topic === only) this.#last.delete(topic);
    for (const [port, tab] of this.#tabs) {
      if (only && tab.topic !== only) continue;
      port.postMessage(message);
      this.#leave(port);
    }
  }
}

if ("SharedWorkerGlobalScope" in globalThis) {
  // The worker's name is the page's CSRF token: who signs in next gets another worker, with nothing of the last one's.
  const scope = /** @type {any} */ (globalThis);
  const tabs = new Tabs(scope.name);
  scope.onconnect = (/** @type {MessageEvent} */ event) => tabs.welcome(event.ports[0]);
}
