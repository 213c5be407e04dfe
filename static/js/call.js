/**
 * One person's part in a video call: joining, and the way back into the call when the line breaks. It shows nothing and
 * says nothing to people: it raises events and errors with codes, which the page turns into sentences.
 *
 * Joining is one HTTP exchange: the offer carries no candidates, and the server learns of the browser from its
 * connectivity checks, so no address is ever signalled. A line that falls silent is kept while a new one is made: after
 * a short break the old one goes on by itself, after a longer one the new one takes its place.
 */

import { CallError, TryLater } from "./call-error.js";
import { Devices } from "./devices.js";
import { Line } from "./line.js";
import { noStats } from "./line-stats.js";
import { Microphone } from "./microphone.js";
import { Quality } from "./quality.js";
import { Reach } from "./reach.js";
import { Signalling } from "./signalling.js";
import { Telling } from "./telling.js";

/** @typedef {"idle"|"preview"|"joining"|"connected"|"reconnecting"|"ended"|"failed"} CallState */
/** @typedef {import("./line-stats.js").LineStats} LineStats */

/**
 * @typedef {object} CallOptions
 * @property {string} url   of the seat, for instance `/api/v1/media/SEAT`
 * @property {string} csrf  sent as `X-CSRF-Token`
 * @property {import("./signalling.js").Ice} [ice]  the servers, as the page was told; without them they are asked for
 * @property {number} [others]  how many people beside the first may be seen and heard
 * @property {boolean} [camera] false: it is not asked for before it is switched on
 */

const LOOK_MS = 250;
/** The server is heard several times a second: after this long it is tried whether the desk can be reached. */
const QUIET_MS = 1500;
/** After this long the line is said to be broken, and a new one is made. */
const BROKEN_MS = 3000;
/** The same, for a page that has just come back to the front: it may have slept through the break. */
const SUSPECT_MS = 1000;
/** Sound comes every 20 ms, whatever the picture does: the other side is said to be away after this long without any. */
const AWAY_MS = 2000;
/** The old line gets this long, once the network is back, before a new one takes the seat. */
const GRACE_MS = 400;
/** A connection that takes longer is given up and made anew. */
const CONNECTING_MS = 8000;
/** Waits between attempts that the server refused or that came to nothing; the last one repeats. */
const BACKOFF_MS = [0, 1000, 2000, 4000];
/** How long leaving waits for the server to hear of it. */
const GOODBYE_MS = 1000;

/** @param {number} ms */
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Events (all CustomEvent):
 * `state` {state, code?}; `localstream` {stream, video, audio, facing}; `audioonly` {code}; `pictureonly` {code};
 * `remotestream` {at, stream, video, audio}: a new stream each time that sound or picture of somebody begins; `at` is
 * that person's place, the other seats of the room in their order, from 0;
 * `deviceerror` {code, kind} when a camera or microphone stops during the call and cannot be had again;
 * `quality` {before, after, reason} when more or less is sent; `microphone` {cause} when no sound comes from it any
 * more, and with the cause `works` when it does again; `other` {heard} when the other side falls silent or is back.
 * After `leave()` a Call is spent and tells nothing more: make another.
 */
export class Call extends EventTarget {
  /** @type {CallState} */ #state = "idle";
  #signalling;
  #others;
  #devices = new Devices();
  #quality = new Quality();
  #microphone = new Microphone();
  #telling;
  /** @type {Line|null} */ #line = null;
  /** Grows with each new attempt to join or to come back; whatever belongs to an earlier one is ignored. */
  #attempt = 0;
  #wanted = false;
  #returning = false;
  #suspectUntil = 0;
  #otherHeard = true;
  /** @type {AbortController|null} */ #request = null;
  /** @type {Reach|null} */ #reach = null;
  #looker = 0;
  #resume = false;

  /** @param {CallOptions} options */
  constructor({ url, csrf, ice, others = 0, camera = true }) {
    super();
    this.#others = others;
    this.#devices.camera(camera);
    this.#signalling = new Signalling(url, csrf, ice);
    this.#telling = new Telling((what, body) => this.#signalling.tell(what, body));
    const pass = (/** @type {string} */ name) => (/** @type {Event} */ event) =>
      this.#tell(name, /** @type {CustomEvent} */ (event).detail);
    this.#devices.addEventListener("stream", pass("localstream"));
    this.#devices.addEventListener("audioonly", pass("audioonly"));
    this.#devices.addEventListener("pictureonly", pass("pictureonly"));
    this.#devices.addEventListener("deviceerror", pass("deviceerror"));
    this.#devices.addEventListener("track", this.#onTrack);
    this.#quality.addEventListener("quality", this.#onQuality);
    this.#microphone.addEventListener("microphone", this.#onMicrophone);
    addEventListener("pagehide", this.#onPageHide);
    addEventListener("pageshow", this.#onPageShow);
    addEventListener("online", this.#onOnline);
    document.addEventListener("visibilitychange", this.#onVisible);
  }

  get state() {
    return this.#state;
  }

  /** What one of its events tells. @param {string} type @param {(detail: any) => void} act */
  on(type, act) {
    this.addEventListener(type, (event) => act(/** @type {CustomEvent} */ (event).detail));
  }

  /** What is sent of the picture now. */
  get step() {
    return this.#quality.step;
  }

  /** How it gets through: what is sent of the picture, why the microphone brings no sound, whether the other is heard. */
  get own() {
    return { picture: this.step, microphone: this.#microphone.cause, heard: this.#otherHeard };
  }

  /** A CSRF token that the page has renewed; used from the next request on. @param {string} csrf */
  set csrf(csrf) {
    this.#signalling.csrf = csrf;
  }

  /**
   * Ask for camera and microphone. Where one cannot be used it goes on with the other alone and says so (`audioonly`,
   * `pictureonly`).
   * @returns {Promise<MediaStream>}
   * @throws {CallError}
   */
  async preview() {
    if (this.#state === "ended") throw new CallError("ended");
    const stream = await this.#devices.open();
    if (this.#state === "idle" || this.#state === "failed") this.#setState("preview");
    return stream;
  }

  /**
   * Enter the call, and come back into it by itself until `leave()`. Resolves after the first exchange with the server;
   * whether and when the line is up is told by `state`.
   * @returns {Promise<void>}
   * @throws {CallError} when the server refuses for good, or without any device; anything else is tried again
   */
  async join() {
    if (this.#state === "ended") throw new CallError("ended");
    if (this.#wanted) return;
    this.#wanted = true;
    try {
      if (!this.#devices.stream) await this.preview();
    } catch (error) {
      this.#wanted = false;
      throw error;
    }
    if (!this.#wanted) return;
    this.#setState("joining");
    const attempt = ++this.#attempt;
    try {
      const line = await this.#open(attempt, false);
      if (line) this.#carries(line).then((carries) => carries || line !== this.#line || this.#comeBack());
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (!(error instanceof CallError)) return void this.#comeBack();
      this.#fail(error.code);
      throw error;
    }
  }

  /** End it: the other side is told at once, camera and microphone are released. */
  leave() {
    this.#hangUp();
    this.#telling.stop();
    this.#devices.close();
    removeEventListener("pagehide", this.#onPageHide);
    removeEventListener("pageshow", this.#onPageShow);
    removeEventListener("online", this.#onOnline);
    document.removeEventListener("visibilitychange", this.#onVisible);
    this.#setState("ended");
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.#devices.mute(muted);
  }

  /** @param {boolean} on */
  camera(on) {
    this.#devices.camera(on);
  }

  /** The other camera, front or back. @throws {CallError} when there is no other; the first one is then in use again */
  switchCamera() {
    return this.#devices.switchCamera();
  }

  /** @returns {Promise<LineStats>} */
  async stats() {
    return (await this.#line?.stats()) ?? noStats();
  }

  // --- one connection ---

  /**
   * One exchange with the server; the line that comes of it takes the place of the one before.
   * @param {number} attempt
   * @param {boolean} again  by itself, after a break
   * @returns {Promise<Line|null>} null: overtaken by something newer
   * @throws {CallError} final; anything else may be tried again
   */
  async #open(attempt, again) {
    const request = (this.#request = new AbortController());
    if (!this.#signalling.fresh) await this.#signalling.renew(request.signal);
    if (attempt !== this.#attempt || !this.#devices.stream) return null;
    const line = new Line(this.#signalling.configuration, this.#devices.stream, this.#others);
    try {
      await line.open((offer) => this.#signalling.offer(offer, again, request.signal));
    } catch (error) {
      line.close();
      throw error;
    }
    if (attempt !== this.#attempt) {
      line.close();
      return null;
    }
    this.#adopt(line);
    return line;
  }

  /** The server has given the seat to this line: the one before brings nothing any more. @param {Line} line */
  #adopt(line) {
    this.#line?.close();
    this.#line = line;
    line.addEventListener("tracks", (event) => {
      const { at, tracks } = /** @type {CustomEvent} */ (event).detail;
      if (line === this.#line) this.#tellRemote(at, tracks);
    });
    line.addEventListener("state", () => {
      if (line === this.#line && (line.state === "failed" || line.state === "closed")) this.#comeBack();
    });
    clearInterval(this.#looker);
    this.#looker = setInterval(() => line.mayCarry && this.#look(line), LOOK_MS);
  }

  /**
   * Until the line carries.
   * @param {Line} line
   * @returns {Promise<boolean>} false: it does not, or something newer has its place
   */
  async #carries(line) {
    const began = performance.now();
    while (line === this.#line && performance.now() - began < CONNECTING_MS) {
      if (line.state === "connected") {
        this.#setState("connected");
        await this.#quality.attach(line);
        // The desk may know of another step, from before a reload or the break: what it knows already it does not note.
        this.#telling.tell("quality", { after: this.#quality.step, reason: "rejoined" });
        this.#telling.tell("microphone", { cause: this.#microphone.cause });
        return true;
      }
      if (line.state === "failed" || line.state === "closed") return false;
      await line.changed(CONNECTING_MS);
    }
    return false;
  }

  /** Four times a second: is the server heard, is the other side, and what do the figures say? @param {Line} line */
  async #look(line) {
    const stats = await line.look();
    if (line !== this.#line) return;
    const now = performance.now();
    const silentMs = now - line.heardAt;
    if (silentMs > BROKEN_MS) this.#setState("reconnecting");
    if (silentMs > QUIET_MS || (silentMs > SUSPECT_MS && now < this.#suspectUntil)) return this.#comeBack();
    if (this.#returning && silentMs < LOOK_MS * 2) this.#stay(line);
    const heard = now - line.otherHeardAt < AWAY_MS;
    if (heard !== this.#otherHeard) this.#tell("other", { heard: (this.#otherHeard = heard) });
    this.#microphone.look(this.#devices.track("audio"), this.#devices.muted, stats);
    await this.#quality.look(stats);
  }

  // --- the way back ---

  /** The line is heard again by itself: what was begun in its place is given up. @param {Line} line */
  #stay(line) {
    this.#giveUp();
    line.otherHeardAt = performance.now();  // the break was ours: of the other side nothing is known yet
    this.#setState("connected");
  }

  #giveUp() {
    this.#attempt += 1;
    this.#returning = false;
    this.#request?.abort();
    this.#reach?.giveUp();
  }

  /** Come back, unless that is under way: try and try again, until a line carries. */
  async #comeBack() {
    if (!this.#wanted || this.#returning) return;
    this.#giveUp();
    this.#returning = true;
    const attempt = this.#attempt;
    if (!this.#line?.mayCarry) this.#setState("reconnecting");
    for (let failures = 0, pauseMs = 0; attempt === this.#attempt; failures += 1) {
      await wait(Math.max(pauseMs, BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)]));
      pauseMs = 0;
      try {
        if (await this.#tried(attempt)) this.#returning = false;
      } catch (error) {
        if (attempt === this.#attempt && error instanceof CallError) this.#fail(error.code);
        if (error instanceof TryLater) pauseMs = error.afterMs;
      }
      if (!this.#returning) return;
    }
  }

  /** @param {number} attempt @returns {Promise<boolean>} whether a line carries */
  async #tried(attempt) {
    if (attempt !== this.#attempt) return false;
    const reach = (this.#reach = new Reach());
    await reach.until((signal) => this.#signalling.renew(signal));
    await this.#giveOldLineItsChance(attempt);
    if (attempt === this.#attempt) this.#setState("reconnecting");
    const line = attempt === this.#attempt ? await this.#open(attempt, true) : null;
    return line !== null && (await this.#carries(line));
  }

  /** A line that was only cut off brings its packets as soon as the network is there. @param {number} attempt */
  async #giveOldLineItsChance(attempt) {
    const line = this.#line;
    const since = performance.now();
    while (attempt === this.#attempt && line?.mayCarry) {
      const now = performance.now();
      const limit = now < this.#suspectUntil ? SUSPECT_MS : BROKEN_MS;
      if (now - since >= GRACE_MS && now - line.heardAt >= limit) return;
      await wait(50);
    }
  }

  // --- the end ---

  /** Leave the seat, with a request that outlives the page. */
  #hangUp() {
    const joined = this.#wanted;
    this.#wanted = false;
    this.#giveUp();
    clearInterval(this.#looker);
    this.#quality.stop();
    const line = this.#line;
    this.#line = null;
    const close = () => line?.close();
    if (!joined) return close();
    // Closed after the request: a connection that ends first would be taken for a broken line, not for leaving.
    setTimeout(close, GOODBYE_MS);
    this.#signalling.leave().then(close, close);
  }

  /** @param {string} code */
  #fail(code) {
    this.#wanted = false;
    this.#giveUp();
    clearInterval(this.#looker);
    this.#line?.close();
    this.#line = null;
    this.#setState("failed", code);
  }

  // --- the page's life ---

  #onPageHide = () => {
    const joined = this.#wanted;
    this.#hangUp();
    // A page that the browser keeps for "Back" is not gone: see pageshow.
    this.#resume = joined;
  };

  /** @param {PageTransitionEvent} event */
  #onPageShow = (event) => {
    if (!event.persisted || !this.#resume) return;
    this.#resume = false;
    this.join().catch(() => {});
  };

  #onOnline = () => {
    this.#suspectUntil = performance.now() + BROKEN_MS;
    this.#reach?.hurry();
  };

  #onVisible = () => {
    if (document.hidden) return;
    this.#onOnline();
    this.#devices.restore();
  };

  // --- what was seen ---

  /** Another camera or microphone in a running call. @param {Event} event */
  #onTrack = (event) => {
    const { track } = /** @type {CustomEvent} */ (event).detail;
    if (!this.#line) return;
    const sender = this.#line.sender(track.kind);
    if (sender && track.kind === "video") this.#quality.film(track);
    else if (sender) sender.replaceTrack(track).catch(() => {});
    // A call that began without this device has a section that only receives; a new join offers both.
    else this.#open(++this.#attempt, true).then((line) => line && this.#carries(line)).catch(() => this.#comeBack());
  };

  /** @param {Event} event */
  #onQuality = (event) => {
    const { detail } = /** @type {CustomEvent} */ (event);
    this.#tell("quality", detail);
    this.#telling.tell("quality", { after: detail.after, reason: detail.reason });
  };

  /** @param {Event} event */
  #onMicrophone = (event) => {
    const { detail } = /** @type {CustomEvent} */ (event);
    this.#tell("microphone", detail);
    this.#telling.tell("microphone", detail);
  };

  /** @param {number} at @param {MediaStreamTrack[]} tracks */
  #tellRemote(at, tracks) {
    const has = (/** @type {string} */ kind) => tracks.some((track) => track.kind === kind);
    this.#tell("remotestream", { at, stream: new MediaStream(tracks), video: has("video"), audio: has("audio") });
  }

  /** @param {CallState} state @param {string} [code] */
  #setState(state, code) {
    if (state === this.#state && !code) return;
    this.#state = state;
    this.#tell("state", code ? { state, code } : { state });
  }

  /** @param {string} type @param {object} detail */
  #tell(type, detail) {
    if (this.#state === "ended") return;
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
