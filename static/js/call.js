/**
 * One person's part in a video call: camera, microphone, one RTCPeerConnection to the server, and the way back into
 * the call when the line breaks. It shows nothing and says nothing to people: it raises events and errors with codes,
 * which the page turns into sentences.
 *
 * Joining is one HTTP exchange (after WHIP, RFC 9725): POST of the offer, 201 with the answer. The offer carries no
 * candidates: the server learns of the browser from its connectivity checks, so no address is ever signalled.
 */

/** @typedef {"idle"|"preview"|"joining"|"connected"|"reconnecting"|"ended"|"failed"} CallState */

/**
 * @typedef {object} CallOptions
 * @property {string} url               where offers go, for instance `/api/v1/media/SEAT`
 * @property {string} csrf              sent as `X-CSRF-Token`
 * @property {RTCIceServer[]} [iceServers]
 * @property {RTCIceTransportPolicy} [policy]  `relay` hides this browser's address from everything but the relay
 */

/**
 * @typedef {object} CallStats
 * @property {number} framesDecoded   video frames received and decoded on the present connection
 * @property {number} frameWidth
 * @property {number} frameHeight
 * @property {number} audioLevel      of what is received, 0 to 1
 * @property {number} audioEnergy     running total of the received sound's energy
 * @property {number} micLevel        of what is sent, 0 to 1
 * @property {number} packetsLost
 * @property {number|null} roundTripMs
 */

/** Waits between attempts to come back, in ms; the last one repeats. */
const BACKOFF_MS = [500, 1000, 2000, 4000];
/** The server sends sound, if only silence, every 20 ms: this long without any means that the way is broken. */
const STALL_MS = 3000;
const LOOK_MS = 500;
/** An answer, or a connection, that takes longer is given up and tried anew. */
const SIGNALLING_MS = 8000;
const CONNECTING_MS = 12000;
/** How long leaving waits for the server to hear of it. */
const GOODBYE_MS = 1000;
/** What HTTP says when trying again would change nothing; 401 and 403 are here, for the page must sign in anew. */
const FINAL_STATUS = new Set([400, 401, 403, 404, 405, 409, 410, 415, 422]);

const VIDEO = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 15 } };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** getUserMedia's error names (W3C Media Capture), as the page knows them. */
const DEVICE_CODES = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "notfound",
  DevicesNotFoundError: "notfound",
  OverconstrainedError: "notfound",
  NotReadableError: "busy",
  TrackStartError: "busy",
  AbortError: "busy",
};

/** Something a person may have to be told; `code` is what the page looks up. */
export class CallError extends Error {
  /**
   * @param {string} code  `insecure`, `denied`, `notfound`, `busy`, `unsupported`, `ended`, or a problem+json code
   * @param {unknown} [cause]
   */
  constructor(code, cause) {
    super(code, { cause });
    this.name = "CallError";
    this.code = code;
  }
}

/**
 * Events (all CustomEvent):
 * `state` {state, code?}; `localstream` {stream, video, audio}; `audioonly` {code};
 * `remotestream` {stream, video, audio}: a new stream each time that sound or picture of the other side begins;
 * `deviceerror` {code, kind} when a camera or microphone stops during the call and cannot be had again.
 * After `leave()` a Call is spent: make another.
 */
export class Call extends EventTarget {
  /** @type {CallState} */ #state = "idle";
  /** @type {CallOptions} */ #options;
  /** @type {MediaStream|null} */ #local = null;
  /** @type {RTCPeerConnection|null} */ #pc = null;
  /** @type {string|null} */ #location = null;
  /** @type {"user"|"environment"} */ #facing = "user";
  #muted = false;
  #cameraOff = false;
  /** Grows with each attempt; whatever belongs to an earlier one is ignored. */
  #attempt = 0;
  #failures = 0;
  #wanted = false;
  /** @type {AbortController|null} */ #request = null;
  /** @type {(() => void)|null} */ #hurry = null;
  #looker = 0;

  /** @param {CallOptions} options */
  constructor(options) {
    super();
    this.#options = { iceServers: [], policy: "all", ...options };
    addEventListener("pagehide", this.#onPageHide);
    addEventListener("pageshow", this.#onPageShow);
    addEventListener("online", this.#onOnline);
    document.addEventListener("visibilitychange", this.#onVisible);
  }

  get state() {
    return this.#state;
  }

  get #isSpent() {
    return this.#state === "ended";
  }

  /** The camera's and microphone's stream, once `preview` has it. */
  get localStream() {
    return this.#local;
  }

  /** A CSRF token that the page has renewed; used from the next request on. @param {string} csrf */
  set csrf(csrf) {
    this.#options.csrf = csrf;
  }

  /**
   * Ask for camera and microphone. Without a usable camera it goes on with sound alone and says so (`audioonly`).
   * @returns {Promise<MediaStream>}
   * @throws {CallError}
   */
  async preview() {
    if (this.#isSpent) throw new CallError("ended");
    this.#stopLocal();
    const stream = await this.#capture();
    if (this.#isSpent) {
      stream.getTracks().forEach((track) => track.stop());
      throw new CallError("ended");
    }
    this.#local = stream;
    for (const track of this.#local.getTracks()) this.#watchTrack(track);
    this.#applySwitches();
    if (this.#state === "idle" || this.#state === "failed") this.#setState("preview");
    this.#tellLocal();
    return this.#local;
  }

  /**
   * Enter the call, and come back into it by itself until `leave()`. Resolves after the first exchange with the server;
   * whether and when the line is up is told by `state`.
   * @returns {Promise<void>}
   * @throws {CallError} when the server refuses for good, or without a microphone; anything else is tried again
   */
  async join() {
    if (this.#isSpent) throw new CallError("ended");
    if (this.#wanted) return;
    if (!this.#local) await this.preview();
    this.#wanted = true;
    this.#failures = 0;
    this.#setState("joining");
    await this.#connect();
  }

  /** End it: the other side is told at once, camera and microphone are released. */
  leave() {
    this.#hangUp();
    this.#stopLocal();
    removeEventListener("pagehide", this.#onPageHide);
    removeEventListener("pageshow", this.#onPageShow);
    removeEventListener("online", this.#onOnline);
    document.removeEventListener("visibilitychange", this.#onVisible);
    this.#setState("ended");
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.#muted = muted;
    this.#applySwitches();
  }

  /** @param {boolean} on */
  camera(on) {
    this.#cameraOff = !on;
    this.#applySwitches();
  }

  /**
   * The other camera, front or back.
   * @returns {Promise<void>}
   * @throws {CallError} when there is no other; the first one is then in use again
   */
  async switchCamera() {
    const before = this.#facing;
    const wanted = before === "user" ? "environment" : "user";
    // Many phones open one camera at a time: the first is released before the second is asked for.
    this.#local?.getVideoTracks().forEach((track) => this.#discard(track));
    try {
      await this.#replaceVideo({ ...VIDEO, facingMode: { exact: wanted } });
      this.#facing = wanted;
    } catch (error) {
      const why = deviceError(error);
      await this.#replaceVideo({ ...VIDEO, facingMode: before }).catch((again) => {
        this.#tell("deviceerror", { code: deviceError(again).code, kind: "video" });
      });
      throw why;
    }
  }

  /** @returns {Promise<CallStats>} */
  async stats() {
    /** @type {CallStats} */
    const stats = {
      framesDecoded: 0, frameWidth: 0, frameHeight: 0, audioLevel: 0, audioEnergy: 0, micLevel: 0, packetsLost: 0,
      roundTripMs: null,
    };
    const report = await this.#pc?.getStats();
    report?.forEach((entry) => {
      if (entry.type === "inbound-rtp") {
        stats.packetsLost += entry.packetsLost ?? 0;
        if (entry.kind === "video") {
          stats.framesDecoded = entry.framesDecoded ?? 0;
          stats.frameWidth = entry.frameWidth ?? 0;
          stats.frameHeight = entry.frameHeight ?? 0;
        } else {
          stats.audioLevel = entry.audioLevel ?? 0;
          stats.audioEnergy = entry.totalAudioEnergy ?? 0;
        }
      } else if (entry.type === "media-source" && entry.kind === "audio") {
        stats.micLevel = entry.audioLevel ?? 0;
      } else if (entry.type === "candidate-pair" && entry.nominated && entry.currentRoundTripTime !== undefined) {
        stats.roundTripMs = entry.currentRoundTripTime * 1000;
      }
    });
    return stats;
  }

  // --- camera and microphone ---

  async #capture() {
    if (!globalThis.isSecureContext) throw new CallError("insecure");
    if (!navigator.mediaDevices?.getUserMedia) throw new CallError("unsupported");
    try {
      return await navigator.mediaDevices.getUserMedia({
        audio: AUDIO,
        video: { ...VIDEO, facingMode: this.#facing },
      });
    } catch (error) {
      return this.#captureSound(deviceError(error));
    }
  }

  /**
   * Sound alone. A refusal may be meant for the camera only, so it is asked as well; a second refusal is final.
   * @param {CallError} why
   */
  async #captureSound(why) {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: AUDIO });
    } catch (error) {
      const second = deviceError(error);
      // "No microphone" after "camera busy" would send the person to look at the wrong device.
      throw second.code === "denied" ? second : why;
    }
    this.#tell("audioonly", { code: why.code });
    return stream;
  }

  /** @param {MediaTrackConstraints} constraints */
  async #replaceVideo(constraints) {
    const stream = await navigator.mediaDevices.getUserMedia({ video: constraints });
    this.#adopt(stream.getVideoTracks()[0]);
  }

  /** @param {MediaStreamTrack} track */
  #adopt(track) {
    if (!this.#local) {
      track.stop();
      return;
    }
    for (const old of this.#local.getTracks().filter((other) => other.kind === track.kind)) this.#discard(old);
    this.#local.addTrack(track);
    this.#watchTrack(track);
    this.#applySwitches();
    this.#senderOf(track.kind)?.replaceTrack(track);
    this.#tellLocal();
  }

  /** @param {string} kind */
  #senderOf(kind) {
    const transceivers = this.#pc?.getTransceivers() ?? [];
    const carrier = transceivers.find((one) => one.receiver.track.kind === kind);
    // A call that began without a camera has a video section that only receives; a new join offers both.
    if (carrier && !carrier.direction.startsWith("send")) {
      this.#retry(0);
      return null;
    }
    return carrier?.sender ?? null;
  }

  /** A phone takes devices away, for a telephone call or in the background. @param {MediaStreamTrack} track */
  #watchTrack(track) {
    track.onended = () => this.#recapture(track);
  }

  /** @param {MediaStreamTrack} track */
  async #recapture(track) {
    if (!this.#local?.getTracks().includes(track) || document.hidden) return;
    try {
      const video = track.kind === "video";
      const constraints = video ? { video: { ...VIDEO, facingMode: this.#facing } } : { audio: AUDIO };
      const stream = await navigator.mediaDevices.getUserMedia(constraints);
      this.#adopt(stream.getTracks()[0]);
    } catch (error) {
      this.#tell("deviceerror", { code: deviceError(error).code, kind: track.kind });
    }
  }

  /** @param {MediaStreamTrack} track */
  #discard(track) {
    track.onended = null;
    track.stop();
    this.#local?.removeTrack(track);
  }

  #applySwitches() {
    this.#local?.getAudioTracks().forEach((track) => (track.enabled = !this.#muted));
    this.#local?.getVideoTracks().forEach((track) => (track.enabled = !this.#cameraOff));
  }

  #stopLocal() {
    this.#local?.getTracks().forEach((track) => this.#discard(track));
    this.#local = null;
  }

  #tellLocal() {
    const stream = this.#local;
    if (!stream) return;
    const [video, audio] = [stream.getVideoTracks().length > 0, stream.getAudioTracks().length > 0];
    this.#tell("localstream", { stream, video, audio });
  }

  /** @param {MediaStreamTrack[]} tracks */
  #tellRemote(tracks) {
    const has = (/** @type {string} */ kind) => tracks.some((track) => track.kind === kind);
    this.#tell("remotestream", { stream: new MediaStream(tracks), video: has("video"), audio: has("audio") });
  }

  // --- the connection ---

  /** One attempt. Throws only what is final. */
  async #connect() {
    const attempt = ++this.#attempt;
    this.#dropConnection();
    const pc = (this.#pc = this.#newConnection(attempt));
    try {
      // Not waiting for candidates saves their gathering time, and keeps them out of the offer.
      await pc.setLocalDescription(await pc.createOffer());
      const answer = await this.#exchange(pc.localDescription?.sdp ?? "");
      if (attempt !== this.#attempt) return;
      await pc.setRemoteDescription({ type: "answer", sdp: answer });
      this.#watchConnection(pc, attempt);
    } catch (error) {
      if (attempt !== this.#attempt || !this.#wanted) return;
      if (error instanceof CallError) {
        this.#fail(error.code);
        throw error;
      }
      this.#retry(error instanceof TryLater ? error.afterMs : 0);
    }
  }

  /** @param {number} attempt */
  #newConnection(attempt) {
    const pc = new RTCPeerConnection({
      iceServers: this.#options.iceServers,
      iceTransportPolicy: this.#options.policy,
      bundlePolicy: "max-bundle",
    });
    /** @type {MediaStreamTrack[]} */
    const tracks = [];
    // A <video> given a picture track that never brings a frame does not play the sound either (Chromium 156): a track
    // is handed to the page when its first packet arrives, which is what "unmute" tells.
    pc.ontrack = ({ track }) => {
      const arrived = () => {
        if (attempt !== this.#attempt || tracks.includes(track)) return;
        tracks.push(track);
        this.#tellRemote(tracks);
      };
      if (track.muted) track.addEventListener("unmute", arrived, { once: true });
      else arrived();
    };
    pc.onconnectionstatechange = () => attempt === this.#attempt && this.#onConnectionState(pc);
    for (const kind of /** @type {const} */ (["audio", "video"])) {
      const track = this.#local?.getTracks().find((one) => one.kind === kind);
      if (track && this.#local) pc.addTransceiver(track, { direction: "sendrecv", streams: [this.#local] });
      else pc.addTransceiver(kind, { direction: "recvonly" });
    }
    return pc;
  }

  /**
   * Post the offer.
   * @param {string} offer
   * @returns {Promise<string>} the answer
   */
  async #exchange(offer) {
    const request = (this.#request = new AbortController());
    const timer = setTimeout(() => request.abort(), SIGNALLING_MS);
    try {
      const response = await fetch(this.#options.url, {
        method: "POST",
        headers: { "Content-Type": "application/sdp", Accept: "application/sdp", "X-CSRF-Token": this.#options.csrf },
        body: offer,
        credentials: "same-origin",
        cache: "no-store",
        signal: request.signal,
      });
      if (!response.ok) throw await refusal(response);
      this.#location = response.headers.get("Location") ?? this.#options.url;
      return await response.text();
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param {RTCPeerConnection} pc */
  #onConnectionState(pc) {
    if (pc.connectionState === "connected") {
      this.#failures = 0;
      this.#setState("connected");
    } else if (pc.connectionState === "failed" || pc.connectionState === "closed") {
      this.#retry(0);
    }
  }

  /**
   * The browser itself needs five to fifteen seconds to notice a dead line; the silence that the server sends while
   * there is nothing to hear lets us see it in three.
   * @param {RTCPeerConnection} pc
   * @param {number} attempt
   */
  #watchConnection(pc, attempt) {
    let heard = performance.now();
    let limit = CONNECTING_MS;
    let packets = 0;
    clearInterval(this.#looker);
    this.#looker = setInterval(async () => {
      const report = await pc.getStats();
      if (attempt !== this.#attempt) return;
      let now = 0;
      report.forEach((entry) => (now += entry.type === "inbound-rtp" ? entry.packetsReceived ?? 0 : 0));
      if (now > packets) {
        packets = now;
        heard = performance.now();
        limit = STALL_MS;
      } else if (performance.now() - heard > limit && !document.hidden) {
        this.#retry(0);
      }
    }, LOOK_MS);
  }

  /** Come back after a growing wait. @param {number} atLeastMs */
  async #retry(atLeastMs) {
    if (!this.#wanted) return;
    const attempt = ++this.#attempt;
    this.#dropConnection();
    this.#setState("reconnecting");
    const wait = Math.max(atLeastMs, BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)]);
    this.#failures += 1;
    await new Promise((resolve) => {
      // A network that comes back is used at once, but never sooner than the server asked for.
      this.#hurry = atLeastMs ? null : () => resolve(undefined);
      setTimeout(resolve, wait);
    });
    this.#hurry = null;
    if (attempt !== this.#attempt || !this.#wanted) return;
    try {
      await this.#connect();
    } catch {
      // Final refusals have been told as state "failed"; nobody awaits this attempt.
    }
  }

  #dropConnection() {
    this.#releaseConnection()?.close();
  }

  /** Forget the connection, and hand it over still open. */
  #releaseConnection() {
    clearInterval(this.#looker);
    this.#request?.abort();
    this.#request = null;
    const pc = this.#pc;
    this.#pc = null;
    if (pc) pc.ontrack = pc.onconnectionstatechange = null;
    return pc;
  }

  /** Leave the seat, with a request that outlives the page. */
  #hangUp() {
    const joined = this.#wanted;
    this.#wanted = false;
    this.#attempt += 1;
    this.#hurry?.();
    const pc = this.#releaseConnection();
    const close = () => pc?.close();
    if (!joined) return close();
    // Closed after the request: a connection that ends first would be taken for a broken line, not for leaving.
    setTimeout(close, GOODBYE_MS);
    fetch(this.#location ?? this.#options.url, {
      method: "DELETE",
      headers: { "X-CSRF-Token": this.#options.csrf },
      credentials: "same-origin",
      keepalive: true,
    }).then(close, close);
    this.#location = null;
  }

  /** @param {string} code */
  #fail(code) {
    this.#wanted = false;
    this.#attempt += 1;
    this.#dropConnection();
    this.#setState("failed", code);
  }

  // --- the page's life ---

  #onPageHide = () => {
    const joined = this.#wanted;
    this.#hangUp();
    // A page that the browser keeps for "Back" is not gone: see pageshow.
    this.#resume = joined;
  };

  #resume = false;

  /** @param {PageTransitionEvent} event */
  #onPageShow = (event) => {
    if (!event.persisted || !this.#resume) return;
    this.#resume = false;
    this.join().catch(() => {});
  };

  #onOnline = () => this.#hurry?.();

  #onVisible = () => {
    if (document.hidden) return;
    this.#hurry?.();
    for (const track of this.#local?.getTracks() ?? []) if (track.readyState === "ended") this.#recapture(track);
  };

  // --- telling ---

  /** @param {CallState} state @param {string} [code] */
  #setState(state, code) {
    if (state === this.#state && !code) return;
    this.#state = state;
    this.#tell("state", code ? { state, code } : { state });
  }

  /** @param {string} type @param {object} detail */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** The server is busy or away; it may say for how long. */
class TryLater extends Error {
  /** @param {number} afterMs */
  constructor(afterMs) {
    super("try later");
    this.afterMs = afterMs;
  }
}

/** @param {Response} response */
async function refusal(response) {
  if (!FINAL_STATUS.has(response.status)) return new TryLater(Number(response.headers.get("Retry-After") ?? 0) * 1000);
  const problem = await response.json().catch(() => ({}));
  return new CallError(problem.code ?? `http-${response.status}`);
}

/** @param {unknown} error */
function deviceError(error) {
  if (error instanceof CallError) return error;
  const name = error instanceof Error || error instanceof DOMException ? error.name : "";
  return new CallError(DEVICE_CODES[/** @type {keyof typeof DEVICE_CODES} */ (name)] ?? "busy", error);
}
