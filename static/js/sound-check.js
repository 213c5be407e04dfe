/**
 * Whether somebody is heard and hears, before the other side is there: a bar that moves with the microphone, and two
 * soft tones. Nothing is recorded.
 */

const LOOK_MS = 200;
/** Speech is a twentieth of full scale: the bar is to move visibly. */
const SPEECH = 0.05;
/** Hz and s: a falling third, as a doorbell has it, and no alarm. */
const TONES = /** @type {const} */ ([[659, 0], [523, 0.35]]);
const LASTS_S = 0.3;
const LOUDNESS = 0.2;

export class SoundCheck {
  #meter;
  #timer = 0;

  /** @param {HTMLMeterElement} meter  0 to 1 */
  constructor(meter) {
    this.#meter = meter;
  }

  /** @param {() => Promise<number>} level  of the microphone, 0 to 1 */
  watch(level) {
    if (this.#timer) return;
    this.#timer = setInterval(async () => (this.#meter.value = Math.min(1, (await level()) / SPEECH / 2)), LOOK_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
  }
}

/** Played through what the call is heard by. A press has to come first, or the browser is silent. */
export async function playTones() {
  const context = new AudioContext();
  const gain = new GainNode(context, { gain: LOUDNESS });
  gain.connect(context.destination);
  const ends = TONES.map(([frequency, at]) => {
    const tone = new OscillatorNode(context, { frequency });
    tone.connect(gain);
    tone.start(context.currentTime + at);
    tone.stop(context.currentTime + at + LASTS_S);
    return new Promise((resolve) => (tone.onended = resolve));
  });
  await Promise.all(ends);
  await context.close();
}
