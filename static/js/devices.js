/**
 * The camera and the microphone of one person: asked for, switched, and had again when the phone took them away.
 *
 * Events (CustomEvent): `stream` {stream, video, audio, facing} when the tracks are others; `track` {track} for one that takes
 * another's place in a running call; `audioonly` {code}, `pictureonly` {code} when the other device cannot be had;
 * `deviceerror` {code, kind} when one stopped and cannot be had again.
 */

import { CallError } from "./call-error.js";

const VIDEO = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** getUserMedia's error names (W3C Media Capture), as the page knows them. */
const CODES = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "notfound",
  DevicesNotFoundError: "notfound",
  OverconstrainedError: "notfound",
  NotReadableError: "busy",
  TrackStartError: "busy",
  AbortError: "busy",
};

export class Devices extends EventTarget {
  /** @type {MediaStream|null} */ stream = null;
  /** @type {"user"|"environment"} */ #facing = "user";
  muted = false;
  #cameraOff = false;
  #opened = 0;

  /** @param {string} kind */
  track(kind) {
    return this.stream?.getTracks().find((track) => track.kind === kind);
  }

  /**
   * Ask for the microphone, and for the camera unless that is switched off. Where one of them cannot be used it goes on
   * with the other and says so.
   * @returns {Promise<MediaStream>}
   * @throws {CallError} `ended` among them, when it was closed while the person was being asked
   */
  async open() {
    this.close();
    const mine = this.#opened;
    const stream = await this.#capture();
    if (mine !== this.#opened) {
      stream.getTracks().forEach((track) => track.stop());
      throw new CallError("ended");
    }
    this.stream = stream;
    for (const track of stream.getTracks()) this.#watch(track);
    this.#applySwitches();
    this.#tellStream();
    return stream;
  }

  close() {
    this.#opened += 1;
    this.stream?.getTracks().forEach((track) => this.#discard(track));
    this.stream = null;
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.muted = muted;
    this.#applySwitches();
  }

  /** Switched on for the first time, it is asked for then. @param {boolean} on */
  camera(on) {
    this.#cameraOff = !on;
    this.#applySwitches();
    if (on && this.stream && !this.track("video")) this.#obtain("video");
  }

  /**
   * The other camera, front or back.
   * @throws {CallError} when there is no other; the first one is then in use again
   */
  async switchCamera() {
    const before = this.#facing;
    const wanted = before === "user" ? "environment" : "user";
    // Many phones open one camera at a time: the first is released before the second is asked for.
    this.stream?.getVideoTracks().forEach((track) => this.#discard(track));
    try {
      this.#facing = wanted;
      await this.#replaceVideo({ ...VIDEO, facingMode: { exact: wanted } });
    } catch (error) {
      const why = deviceError(error);
      this.#facing = before;
      await this.#replaceVideo({ ...VIDEO, facingMode: before }).catch((again) => {
        this.#tell("deviceerror", { code: deviceError(again).code, kind: "video" });
      });
      throw why;
    }
  }

  /** Have again what ended while the page was in the background, and a microphone that something else had. */
  restore() {
    for (const track of this.stream?.getTracks() ?? []) if (track.readyState === "ended") this.#recapture(track);
    if (this.stream && !this.track("audio")) this.#obtain("audio", true);
  }

  async #capture() {
    if (!globalThis.isSecureContext) throw new CallError("insecure");
    if (!navigator.mediaDevices?.getUserMedia) throw new CallError("unsupported");
    const both = this.#cameraOff ? this.#constraints("audio") : { ...this.#constraints("audio"), ...this.#constraints("video") };
    try {
      return await navigator.mediaDevices.getUserMedia(both);
    } catch (error) {
      return this.#captureOne(deviceError(error));
    }
  }

  /**
   * Sound alone. A refusal may be meant for the camera only, so it is asked as well; a second refusal is final. Or the
   * picture alone: whoever is still on the telephone has no microphone for this page.
   * @param {CallError} why
   */
  async #captureOne(why) {
    let lacks = why;
    for (const [kind, event] of /** @type {const} */ ([["audio", "audioonly"], ["video", "pictureonly"]])) {
      if (kind === "video" && this.#cameraOff) break;
      try {
        const stream = await navigator.mediaDevices.getUserMedia(this.#constraints(kind));
        this.#tell(event, { code: lacks.code });
        return stream;
      } catch (error) {
        lacks = deviceError(error);
        if (lacks.code === "denied") throw lacks;
      }
    }
    // "No microphone" after "camera busy" would send the person to look at the wrong device.
    throw why;
  }

  /** @param {"audio"|"video"} kind @returns {MediaStreamConstraints} */
  #constraints(kind) {
    return kind === "audio" ? { audio: AUDIO } : { video: { ...VIDEO, facingMode: this.#facing } };
  }

  /** @param {MediaTrackConstraints} constraints */
  async #replaceVideo(constraints) {
    const stream = await navigator.mediaDevices.getUserMedia({ video: constraints });
    this.#adopt(stream.getVideoTracks()[0]);
  }

  /** @param {MediaStreamTrack} track */
  #adopt(track) {
    if (!this.stream) {
      track.stop();
      return;
    }
    for (const old of this.stream.getTracks().filter((other) => other.kind === track.kind)) this.#discard(old);
    this.stream.addTrack(track);
    this.#watch(track);
    this.#applySwitches();
    this.#tell("track", { track });
    this.#tellStream();
  }

  /** A phone takes devices away, for a telephone call or in the background. @param {MediaStreamTrack} track */
  #watch(track) {
    track.onended = () => this.#recapture(track);
  }

  /** @param {MediaStreamTrack} track */
  async #recapture(track) {
    if (!this.stream?.getTracks().includes(track) || document.hidden) return;
    await this.#obtain(track.kind === "video" ? "video" : "audio");
  }

  /** @param {"audio"|"video"} kind @param {boolean} [known]  that it cannot be had is known, and not told again */
  async #obtain(kind, known = false) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia(this.#constraints(kind));
      this.#adopt(stream.getTracks()[0]);
    } catch (error) {
      if (!known) this.#tell("deviceerror", { code: deviceError(error).code, kind });
    }
  }

  /** @param {MediaStreamTrack} track */
  #discard(track) {
    track.onended = null;
    track.stop();
    this.stream?.removeTrack(track);
  }

  #applySwitches() {
    this.stream?.getAudioTracks().forEach((track) => (track.enabled = !this.muted));
    this.stream?.getVideoTracks().forEach((track) => (track.enabled = !this.#cameraOff));
  }

  #tellStream() {
    const stream = this.stream;
    if (!stream) return;
    const [video, audio] = [stream.getVideoTracks().length > 0, stream.getAudioTracks().length > 0];
    this.#tell("stream", { stream, video, audio, facing: this.#facing });
  }

  /** @param {string} type @param {object} detail */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @param {unknown} error */
function deviceError(error) {
  if (error instanceof CallError) return error;
  const name = error instanceof Error || error instanceof DOMException ? error.name : "";
  return new CallError(CODES[/** @type {keyof typeof CODES} */ (name)] ?? "busy", error);
}
