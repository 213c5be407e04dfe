/**
 * Carries out what the ladder decides, on the senders of the present connection: smaller, a picture every two seconds,
 * none. The sound keeps its share whatever the picture does.
 */

import { begin, decide, renewed } from "./ladder.js";
import { Stills } from "./stills.js";

/** @typedef {import("./ladder.js").Step} Step */
/** @typedef {import("./line.js").Line} Line */
/** @typedef {import("./line-stats.js").LineStats} LineStats */

/** What the sender of the picture is told at each step; `null`: it sends nothing. */
const PICTURE = {
  video_480: { scaleResolutionDownBy: 1, maxBitrate: 1_200_000, maxFramerate: 30 },
  video_240: { scaleResolutionDownBy: 2, maxBitrate: 180_000, maxFramerate: 15 },
  stills: { scaleResolutionDownBy: 1, maxBitrate: 60_000, maxFramerate: 15 },
  audio: null,
  ring_back: null,
};
const SOUND_BPS = 32_000;
/** Narrower where even sound is hard to get through. */
const THIN_SOUND_BPS = 16_000;

/** Loss is taken over this long: a report a second, each of some fifty packets of sound. */
const WINDOW_S = 4;
const SECOND_MS = 1000;

/** Events (CustomEvent): `quality` {before, after, reason}. */
export class Quality extends EventTarget {
  /** @type {import("./ladder.js").Ladder} */ #ladder = begin(performance.now() / 1000);
  /** @type {Line|null} */ #line = null;
  /** One each second: {at, stats}. @type {{at: number, stats: LineStats}[]} */ #past = [];
  /** @type {MediaStreamTrack|null} */ #camera = null;
  /** @type {Stills|null} */ #stills = null;

  get step() {
    return this.#ladder.step;
  }

  /** A connection to work on, in place of the one before. @param {Line} line */
  attach(line) {
    this.#line = line;
    this.#camera = line.sender("video")?.track ?? null;
    this.#past = [];
    this.#ladder = renewed(this.#ladder, performance.now() / 1000);
    return this.#apply();
  }

  /** Called every look; decides once a second. @param {LineStats} stats */
  async look(stats) {
    const at = performance.now() / 1000;
    const last = this.#past.at(-1);
    if (last && (at - last.at) * 1000 < SECOND_MS) return;
    this.#past.push({ at, stats });
    while (at - this.#past[0].at > WINDOW_S) this.#past.shift();
    if (!last) return;
    const { ladder, why } = decide(this.#ladder, this.#sample(at));
    const before = this.#ladder.step;
    this.#ladder = ladder;
    if (why === null) return;
    this.dispatchEvent(new CustomEvent("quality", { detail: { before, after: ladder.step, reason: why } }));
    await this.#apply();
  }

  /** @param {number} at @returns {import("./ladder.js").Sample} */
  #sample(at) {
    const [first, last] = [this.#past[0], this.#past[this.#past.length - 1]];
    const sent = last.stats.sentPackets - first.stats.sentPackets;
    const lost = last.stats.sentLost - first.stats.sentLost;
    const reported = last.stats.reports > first.stats.reports && sent > 0;
    return {
      at,
      kbit: last.stats.availableKbit,
      sentKbit: ((last.stats.sentBytes - first.stats.sentBytes) * 8) / 1000 / Math.max(last.at - first.at, 0.001),
      loss: reported ? Math.min(1, Math.max(0, lost / sent)) : null,
      delayMs: last.stats.roundTripMs,
    };
  }

  /** Another camera in the running connection. @param {MediaStreamTrack} track */
  film(track) {
    this.#camera = track;
    return this.#apply();
  }

  /** No more pictures are made. */
  stop() {
    this.#stills?.stop();
    this.#stills = null;
  }

  async #apply() {
    const picture = PICTURE[this.step];
    const thin = picture === null || this.step === "stills";
    await this.#show(this.#line?.sender("video"));
    await set(this.#line?.sender("audio"), { active: true, maxBitrate: thin ? THIN_SOUND_BPS : SOUND_BPS, priority: "high", networkPriority: "high" });
    await set(this.#line?.sender("video"), picture ? { active: true, priority: "low", networkPriority: "low", ...picture } : { active: false });
  }

  /** The camera's own picture, or one now and then. @param {RTCRtpSender|null|undefined} sender */
  async #show(sender) {
    this.stop();
    if (!sender || !this.#camera) return;
    if (this.step === "stills") this.#stills = new Stills(this.#camera);
    const track = this.#stills?.track ?? this.#camera;
    if (sender.track !== track) await sender.replaceTrack(track).catch(() => {});
  }
}

/**
 * @param {RTCRtpSender|null|undefined} sender
 * @param {Partial<RTCRtpEncodingParameters>} wanted
 */
async function set(sender, wanted) {
  if (!sender) return;
  const parameters = sender.getParameters();
  if (!parameters.encodings?.length) return;
  // Left to itself a browser makes a picture that is hard to encode smaller, and tells nobody: only the ladder does that.
  parameters.degradationPreference = "maintain-resolution";
  Object.assign(parameters.encodings[0], wanted);
  // A connection that ended meanwhile, or a browser without one of these: the next step tries again.
  await sender.setParameters(parameters).catch(() => {});
}
