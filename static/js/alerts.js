/**
 * What a desk screen says besides showing it: one short sentence in a status region, a count in the tab's title, and,
 * after "Turn on alerts", a sound and a notice of the desktop, in hidden tabs too. References and counts only, never a
 * name: screens are shared.
 */

const words = JSON.parse(document.body.dataset.words || "{}");

/** The tab's title: how many handovers wait, how the case stands, and what the page is. */
const title = { waiting: 0, state: "", page: document.title };

function retitle() {
  const named = title.state ? `${title.state} – ${title.page}` : title.page;
  document.title = title.waiting ? `(${title.waiting}) ${named}` : named;
}

/**
 * That this browser wants alerts, and what this tab has told already: a page that is left on the way to another one
 * must not lose a handover that comes in between. Ids and kinds alone.
 */
const WANTED = "rvr-alerts";
const TOLD = "rvr-told";

/** @type {AudioContext|null} */
let sound = null;

/** Of several tabs with alerts one rings: the one that holds this lock. Where there are no locks, each does. */
let rings = !("locks" in navigator);
/** @type {Promise<void>} */
let held = rings ? Promise.resolve() : new Promise(() => {});
/** @type {() => void} */
let letGo = () => {};

/** A page that has just opened waits this long for its turn to ring; what is older is on the screen anyway. */
const FRESH_MS = 2000;

/** @param {string} text */
export function say(text) {
  const region = document.getElementById("announcer");
  if (region) region.textContent = text;
}

/** Two short tones; higher for an emergency. @param {boolean} urgent */
function ring(urgent) {
  if (!sound || !rings) return;
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

/** On the desktop, for whoever looks at another window. One replaces the other. @param {string} text */
function notice(text) {
  if (!sound || !rings || document.hasFocus()) return;
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  const shown = new Notification(words.notice, { body: text, tag: "rvr", silent: true });
  shown.onclick = () => {
    window.focus();
    shown.close();
  };
}

/**
 * A browser plays no sound before a person asks for it; what was asked for once holds on the next page.
 * @param {HTMLElement|null} button
 */
export function alertsButton(button) {
  if (!button) return;
  const show = () => {
    const on = sound?.state === "running";
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? words.alerts_on : words.alerts_off;
  };
  const start = async () => {
    sound ??= new AudioContext();
    sound.onstatechange = show;
    if (!rings) hold();
    await sound.resume();
  };
  button.addEventListener("click", async () => {
    if (sound?.state === "running") {
      localStorage.removeItem(WANTED);
      letGo();
      await sound.close();
      sound = null;
    } else {
      localStorage.setItem(WANTED, "on");
      await start();
      if ("Notification" in window) await Notification.requestPermission();
      ring(false);
    }
    show();
  });
  if (localStorage.getItem(WANTED) !== "on") return;
  start().then(show);
  // Some browsers want a press on every page: the first one anywhere will do.
  for (const press of ["pointerdown", "keydown"]) {
    addEventListener(press, () => sound?.state === "suspended" && sound.resume(), { once: true });
  }
}

/** Kept until alerts are turned off or the tab is closed. */
function hold() {
  held = new Promise((granted) => {
    navigator.locks.request(WANTED, () => {
      rings = true;
      granted();
      return new Promise((resolve) => {
        letGo = () => {
          rings = false;
          resolve(undefined);
        };
      });
    });
  });
}

/**
 * Rings for whatever the server says this person is called to (`data-calls`), each once.
 * @param {HTMLElement} target
 */
export function watchBoard(target) {
  let before = told();
  const look = () => {
    const rows = [...target.querySelectorAll("[data-calls]")].map((row) => /** @type {HTMLElement} */ (row).dataset);
    const now = new Map(rows.flatMap((row) => calls(row).map((call) => [`${row.case} ${call}`, row.reference ?? ""])));
    title.waiting = rows.filter((row) => calls(row).includes("handover")).length;
    retitle();
    for (const [key, reference] of now) {
      if (before && !before.has(key)) tell(key.split(" ")[1].split("-")[0], reference);
    }
    before = new Set(now.keys());
    sessionStorage.setItem(TOLD, JSON.stringify([...before]));
  };
  target.addEventListener("fragment", look);
  if (target.firstElementChild) look();
}

/** @param {DOMStringMap} row */
function calls(row) {
  return (row.calls ?? "").split(" ").filter(Boolean);
}

/** Null: this tab is new, and what waits already is no news. @returns {Set<string>|null} */
function told() {
  const kept = sessionStorage.getItem(TOLD);
  return kept ? new Set(JSON.parse(kept)) : null;
}

/** @param {string} kind @param {string} reference */
function tell(kind, reference) {
  const text = words[`call_${kind}`].replace("{reference}", reference);
  say(text);
  const at = Date.now();
  held.then(() => {
    if (Date.now() - at > FRESH_MS) return;
    ring(kind === "emergency");
    notice(text);
  });
}

/** A case page says when its state changes, and the verdict on the safety questions. @param {HTMLElement} target */
export function watchCase(target) {
  const now = () => ({
    .../** @type {HTMLElement|null} */ (target.querySelector("#case-now"))?.dataset,
    verdict: target.querySelector("[data-verdict]")?.textContent ?? "",
  });
  let before = now();
  const look = () => {
    const shown = now();
    title.state = shown.stateName ?? "";
    retitle();
    if (shown.state !== before.state || shown.presence !== before.presence) {
      const what = shown.presence === "none" ? shown.stateName : `${shown.stateName}, ${shown.presenceName}`;
      say(words.state_is.replace("{reference}", shown.reference ?? "").replace("{state}", what ?? ""));
    } else if (shown.verdict && shown.verdict !== before.verdict) say(shown.verdict);
    before = shown;
  };
  target.addEventListener("fragment", look);
  look();
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
