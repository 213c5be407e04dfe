/**
 * One connection to the media plane, from its offer to its end, and whether anything is heard from there. It tries
 * nothing again: who does is `Call`. Where the media engine offers what is received, that comes over a second one.
 */

import { read } from "./line-stats.js";

/** @typedef {import("./line-stats.js").LineStats} LineStats */
/** @typedef {import("./signalling.js").Exchange} Exchange */
/** @typedef {import("./signalling.js").Receive} Receive */

/** Between two looks: real sound is a dozen packets, and the server's silence in its place one at most. */
const OTHER_PACKETS = 4;

/**
 * Events (CustomEvent): `tracks` {at, tracks}, of the person in that place, each time that one more begins (the other
 * seats of the room have the places in their order, from 0); `state`, when the
 * connection's state is another.
 */
export class Line extends EventTarget {
  /** When the server was last heard, on `performance.now()`'s clock. */
  heardAt = performance.now();
  /** When the other side was, or would have been at the earliest. */
  otherHeardAt = performance.now();
  #heard = 0;
  #other = 0;
  #pc;
  /** @type {RTCPeerConnection|null} */ #receiving = null;
  #configuration;

  /**
   * @param {RTCConfiguration} configuration
   * @param {MediaStream} stream  what is sent
   * @param {number} others       how many people beside the first may be seen and heard
   */
  constructor(configuration, stream, others) {
    super();
    this.#configuration = configuration;
    const pc = (this.#pc = this.#connection());
    for (const kind of /** @type {const} */ (["audio", "video"])) {
      const track = stream.getTracks().find((one) => one.kind === kind);
      if (track) pc.addTransceiver(track, { direction: "sendrecv", streams: [stream] });
      else pc.addTransceiver(kind, { direction: "recvonly" });
    }
    for (let other = 0; other < others; other += 1) {
      for (const kind of ["audio", "video"]) pc.addTransceiver(kind, { direction: "recvonly" });
    }
  }

  #connection() {
    const pc = new RTCPeerConnection(this.#configuration);
    /** @type {MediaStreamTrack[][]} */
    const places = [];
    // A <video> given a picture track that never brings a frame does not play the sound either (Chromium 156): a track
    // is handed to the page when its first packet arrives, which is what "unmute" tells.
    pc.ontrack = ({ track, transceiver }) => {
      const at = pc.getTransceivers().indexOf(transceiver) >> 1; // sound and picture of one place stand together
      const tracks = (places[at] ??= []);
      const arrived = () => {
        if (tracks.includes(track)) return;
        tracks.push(track);
        this.dispatchEvent(new CustomEvent("tracks", { detail: { at, tracks } }));
      };
      if (track.muted) track.addEventListener("unmute", arrived, { once: true });
      else arrived();
    };
    pc.onconnectionstatechange = () => this.dispatchEvent(new CustomEvent("state"));
    return pc;
  }

  get state() {
    return this.#receiving?.connectionState === "failed" ? "failed" : this.#pc.connectionState;
  }

  /** It carried, and has not failed: a line that is cut off may come back. */
  get mayCarry() {
    return this.state === "connected" || this.state === "disconnected";
  }

  /**
   * @param {(offer: string) => Promise<Exchange>} exchange  gives the answer to an offer
   */
  async open(exchange) {
    // Not waiting for candidates saves their gathering time, and keeps them out of the offer.
    await this.#pc.setLocalDescription(await this.#pc.createOffer());
    const { answer, receive } = await exchange(this.#pc.localDescription?.sdp ?? "");
    await this.#pc.setRemoteDescription({ type: "answer", sdp: answer });
    if (receive) await this.#openReceiving(receive);
    this.heardAt = this.otherHeardAt = performance.now();
  }

  /** @param {Receive} receive */
  async #openReceiving(receive) {
    const pc = (this.#receiving = this.#connection());
    await pc.setRemoteDescription({ type: "offer", sdp: await receive("") });
    await pc.setLocalDescription(await pc.createAnswer());
    await receive(pc.localDescription?.sdp ?? "");
  }

  /** Until the connection's state is another, or this long. @param {number} ms @returns {Promise<void>} */
  changed(ms) {
    return new Promise((resolve) => {
      setTimeout(resolve, ms);
      this.addEventListener("state", () => resolve(), { once: true });
    });
  }

  /** What the statistics say now. @returns {Promise<LineStats>} */
  async stats() {
    const reports = [this.#receiving, this.#pc].map((pc) => pc?.getStats() ?? new Map());
    return read(await Promise.all(reports));
  }

  /** The same, and who was heard since the last look is noted: for whoever looks at even times. */
  async look() {
    const stats = await this.stats();
    const now = performance.now();
    if (stats.heard > this.#heard) this.heardAt = now;
    if (stats.heardOther - this.#other >= OTHER_PACKETS) this.otherHeardAt = now;
    this.#heard = stats.heard;
    this.#other = stats.heardOther;
    return stats;
  }

  /** @param {string} kind @returns {RTCRtpSender|null} null where this connection only receives it */
  sender(kind) {
    const carrier = this.#pc.getTransceivers().find((one) => one.receiver.track.kind === kind);
    return carrier?.direction.startsWith("send") ? carrier.sender : null;
  }

  close() {
    for (const pc of [this.#receiving, this.#pc]) {
      if (!pc) continue;
      pc.ontrack = pc.onconnectionstatechange = null;
      pc.close();
    }
  }
}
