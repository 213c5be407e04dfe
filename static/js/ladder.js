/**
 * How much is sent over a bad network: the decision, without a browser. Figures in, step and reason out.
 *
 * Sound comes first: it is the last to go. One goes down at once to what the way carries, and up again one step at a
 * time, after a while that doubles with each time that it proved too early; so the picture does not come and go.
 * Precedents: the ladder of jitsi-meet#16689; loss of 10 % as the limit of Google's congestion control
 * (draft-ietf-rmcat-gcc-02, section 6).
 */

/** @typedef {"video_480"|"video_240"|"stills"|"audio"|"ring_back"} Step */
/** @typedef {"bandwidth"|"loss"|"delay"|"recovered"} Why */

/**
 * @typedef {object} Rung
 * @property {Step} step
 * @property {number} kbit     what the way must carry for it, with the sound, kbit/s
 * @property {number} loss     the most that may be lost, 0 to 1
 * @property {number} delayMs  the longest round trip
 */

/**
 * Sound is about 45 kbit/s: Opus at 24, and headers that weigh as much as it does. Half of the words get through a loss
 * of 35 %, with Opus' own repair; a round trip of four seconds is no conversation any more.
 * @type {readonly Rung[]}
 */
export const RUNGS = [
  { step: "video_480", kbit: 250, loss: 0.1, delayMs: 1500 },
  { step: "video_240", kbit: 120, loss: 0.2, delayMs: 2000 },
  { step: "stills", kbit: 50, loss: 0.3, delayMs: 3000 },
  { step: "audio", kbit: 20, loss: 0.45, delayMs: 4000 },
  { step: "ring_back", kbit: 0, loss: 1, delayMs: Infinity },
];

const LAST = RUNGS.length - 1;

/** Bad for this long before it is acted upon: one bad second is none. */
const DOWN_S = 3;
/** The browser's estimate of the way starts low, and is not believed before. After a step up it begins at what was sent
 * below, and grows by 8 % a second at most (draft-ietf-rmcat-gcc-02, section 5.5): it doubles in nine. */
const RAMP_S = 6;
const CLIMBED_RAMP_S = 14;
/** Good for this long before the next step up is tried. */
const UP_S = 8;
const UP_MOST_S = 120;
/** A step that had to be taken back within this was too early. */
const TRIAL_S = 20;
/** To go up, loss and round trip must be this far within what the next step allows. */
const MARGIN = 0.6;

/**
 * @typedef {object} Sample          one second of sending
 * @property {number} at             s, any origin
 * @property {number|null} kbit      what the browser believes that the way carries; null: it does not say
 * @property {number} sentKbit       what was sent
 * @property {number|null} loss      share that the other end missed, of the last few seconds; null: no report of late
 * @property {number|null} delayMs   round trip; null: not known
 */

/**
 * @typedef {object} Ladder
 * @property {Step} step
 * @property {number} since     when this step was taken, or the connection renewed
 * @property {number} badSince  since when the step has been too much; -1: it is not
 * @property {number} goodSince since when the next one up would do; -1: it would not
 * @property {number} patienceS how long that must be
 * @property {boolean} climbed  whether this step was reached from below
 */

/** @param {number} at @returns {Ladder} */
export function begin(at) {
  return { step: "video_480", since: at, badSince: -1, goodSince: -1, patienceS: UP_S, climbed: false };
}

/**
 * A renewed connection: an estimate that starts anew, and the same step, but at least a picture now and then. Without
 * one the desk would not see that the call goes both ways again.
 * @param {Ladder} ladder @param {number} at
 * @returns {Ladder}
 */
export function renewed(ladder, at) {
  const step = ladder.step === "audio" || ladder.step === "ring_back" ? "stills" : ladder.step;
  return { ...taken(ladder, step, at), climbed: false };
}

/** @param {Ladder} ladder @param {Step} step @param {number} at @returns {Ladder} */
function taken(ladder, step, at) {
  return { ...ladder, step, since: at, badSince: -1, goodSince: -1 };
}

/**
 * One more second.
 * @param {Ladder} ladder
 * @param {Sample} sample
 * @returns {{ladder: Ladder, why: Why|null}} why: of a step that is another one now
 */
export function decide(ladder, sample) {
  const now = RUNGS.findIndex((rung) => rung.step === ladder.step);
  const trust = sample.at - ladder.since >= (ladder.climbed ? CLIMBED_RAMP_S : RAMP_S);
  const faults = RUNGS.map((rung) => fault(rung, sample, trust));
  if (faults[now]) {
    const badSince = ladder.badSince < 0 ? sample.at : ladder.badSince;
    if (sample.at - badSince < DOWN_S) return { ladder: { ...ladder, badSince, goodSince: -1 }, why: null };
    // What is lost of a picture that was too large says little of sound alone: that is tried first, and given its time.
    if (now === LAST - 1 && !trust) return { ladder, why: null };
    const fits = now === LAST - 1 ? LAST : faults.findIndex((one, index) => index > now && (!one || index === LAST - 1));
    return { ladder: down(ladder, RUNGS[fits].step, sample.at), why: faults[now] };
  }
  const better = now > 0 && wouldDo(RUNGS[now - 1], sample);
  const goodSince = !better ? -1 : ladder.goodSince < 0 ? sample.at : ladder.goodSince;
  if (better && sample.at - goodSince >= ladder.patienceS) {
    return { ladder: { ...taken(ladder, RUNGS[now - 1].step, sample.at), climbed: true }, why: "recovered" };
  }
  return { ladder: { ...ladder, badSince: -1, goodSince }, why: null };
}

/** @param {Ladder} ladder @param {Step} step @param {number} at @returns {Ladder} */
function down(ladder, step, at) {
  const early = ladder.climbed && at - ladder.since < TRIAL_S;
  const patienceS = early ? Math.min(UP_MOST_S, ladder.patienceS * 2) : UP_S;
  return { ...taken(ladder, step, at), patienceS, climbed: false };
}

/**
 * What speaks against this rung.
 * @param {Rung} rung @param {Sample} sample @param {boolean} trust  whether the estimate has had its time
 * @returns {Why|null}
 */
function fault(rung, sample, trust) {
  if (sample.loss !== null && sample.loss > rung.loss) return "loss";
  if (sample.delayMs !== null && sample.delayMs > rung.delayMs) return "delay";
  if (trust && sample.kbit !== null && sample.kbit < rung.kbit && isUsed(sample)) return "bandwidth";
  return null;
}

/**
 * Whether what is sent fills what the browser believes there is. An estimate that is much larger than what is sent says
 * only that little is sent: the browser has had no occasion to learn of more.
 * @param {Sample} sample
 */
function isUsed(sample) {
  return sample.kbit !== null && sample.sentKbit >= sample.kbit * 0.7;
}

/**
 * Whether the next rung up may be tried.
 * @param {Rung} rung @param {Sample} sample
 */
function wouldDo(rung, sample) {
  if (sample.loss === null || sample.loss > rung.loss * MARGIN) return false;
  if (sample.delayMs !== null && sample.delayMs > rung.delayMs * MARGIN) return false;
  return sample.kbit === null || sample.kbit >= rung.kbit || !isUsed(sample);
}
