/**
 * What a board says besides showing it: one short sentence in a status region, a count in the tab's title, and, after
 * "Turn on alerts", a sound. References and counts only, never a name: screens are shared.
 */

const words = JSON.parse(document.body.dataset.words || "{}");
const plainTitle = document.title;

/** @type {AudioContext|null} */
let sound = null;

/** @param {string} text */
export function say(text) {
  const region = document.getElementById("announcer");
  if (region) region.textContent = text;
}

/** Two short tones; higher for an emergency. @param {boolean} urgent */
function ring(urgent) {
  if (!sound) return;
  for (const [at, frequency] of [[0, urgent ? 988 : 660], [0.22, urgent ? 1319 : 880]]) {
    const [tone, volume] = [sound.createOscillator(), sound.createGain()];
    tone.frequency.value = frequency;
    const start = sound.currentTime + at;
    volume.gain.setValueAtTime(0.0001, start);
    volume.gain.exponentialRampToValueAtTime(0.25, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + 0.2);
    tone.connect(volume).connect(sound.destination);
    tone.start(start);
    tone.stop(start + 0.22);
  }
}

/** A browser plays no sound before a person asks for it. @param {HTMLElement|null} button */
export function alertsButton(button) {
  button?.addEventListener("click", async () => {
    if (sound) {
      await sound.close();
      sound = null;
    } else {
      sound = new AudioContext();
      await sound.resume();
      ring(false);
    }
    button.setAttribute("aria-pressed", String(Boolean(sound)));
    button.textContent = sound ? words.alerts_off : words.alerts_on;
  });
}

/** @param {HTMLElement} target */
export function watchBoard(target) {
  let before = seen(target);
  const look = () => {
    const now = seen(target);
    const waiting = [...now.values()].filter((row) => row.state === "handover").length;
    document.title = waiting ? `(${waiting}) ${plainTitle}` : plainTitle;
    for (const [id, row] of now) {
      const old = before.get(id);
      if (row.emergency && !old?.emergency) tell(words.emergency, row, true);
      else if (row.state === "handover" && old?.state !== "handover") tell(words.new_handover, row, false);
    }
    before = now;
  };
  target.addEventListener("fragment", look);
  look();
}

/** @param {string} text @param {{reference: string}} row @param {boolean} urgent */
function tell(text, row, urgent) {
  say(text.replace("{reference}", row.reference));
  ring(urgent);
}

/** @param {HTMLElement} target */
function seen(target) {
  const rows = [...target.querySelectorAll("tr[data-case]")].map((row) => /** @type {HTMLElement} */ (row).dataset);
  return new Map(
    rows.map((row) => [
      row.case,
      { state: row.state, reference: row.reference ?? "", emergency: row.emergency !== undefined },
    ]),
  );
}

/** A case page says when its state changes. @param {HTMLElement} target */
export function watchCase(target) {
  const now = () => /** @type {HTMLElement|null} */ (target.querySelector("#case-now"))?.dataset ?? {};
  let { state, presence } = now();
  target.addEventListener("fragment", () => {
    const shown = now();
    if (shown.state !== state || shown.presence !== presence) {
      const what = shown.presence === "none" ? shown.stateName : `${shown.stateName}, ${shown.presenceName}`;
      say(words.state_is.replace("{reference}", shown.reference ?? "").replace("{state}", what ?? ""));
    }
    ({ state, presence } = shown);
  });
}

/** Each threshold of a clock is said once. */
export function sayThresholds() {
  document.addEventListener("threshold", (event) => {
    const { stage, name, minutes } = /** @type {CustomEvent} */ (event).detail;
    say(words[stage].replace("{name}", name).replace("{minutes}", minutes));
    if (stage === "late") ring(true);
  });
}

export function connectionBanner() {
  const banner = document.getElementById("connection");
  if (!banner) return;
  document.addEventListener("live", (event) => {
    const since = /** @type {CustomEvent} */ (event).detail.since;
    banner.hidden = !since;
    banner.textContent = since ? words.not_live.replace("{time}", since.toTimeString().slice(0, 5)) : "";
    if (!since) say(words.live_again);
  });
  document.addEventListener("signedout", () => {
    banner.hidden = false;
    banner.textContent = words.signed_out;
  });
  document.addEventListener("say", (event) => {
    banner.hidden = false;
    banner.textContent = /** @type {CustomEvent} */ (event).detail.text;
  });
  document.addEventListener("moved", () => (banner.hidden = true));
}
