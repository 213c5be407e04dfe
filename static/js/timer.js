/**
 * `<rvr-timer data-started data-due data-now>`: a clock that the server runs. The server sends the deadline and its own
 * time; the browser only counts. The text is in the shadow tree and role and states are internals, so that a morph of
 * the page around it leaves it alone. It is no live region: thresholds are announced once, elsewhere.
 */

const words = JSON.parse(document.body.dataset.words || "{}");
/** As much of the target as this is left: soon. */
const SOON = 0.2;
/** From so many hours on, days are enough. */
const DAYS_FROM_H = 48;

const sheet = new CSSStyleSheet();
sheet.replaceSync(":host { white-space: nowrap } .small { font-size: .85em; font-weight: 400 }");

/** @param {number} seconds */
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (hours >= DAYS_FROM_H) return words.days.replace("{count}", String(Math.floor(hours / 24)));
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

class Timer extends HTMLElement {
  static observedAttributes = ["data-due", "data-now", "data-started"];
  #internals = this.attachInternals();
  #ahead = 0;
  #ticker = 0;
  #text = document.createElement("span");
  /** What was said already: "", half, soon, late. */
  #said = "";

  constructor() {
    super();
    this.#internals.role = "timer";
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    root.append(this.#text);
  }

  connectedCallback() {
    this.#read();
    this.#said = this.#stage();
    this.#tick();
    this.#ticker = window.setInterval(() => this.#tick(), 1000);
  }

  disconnectedCallback() {
    window.clearInterval(this.#ticker);
  }

  /** @param {string} name @param {string|null} before */
  attributeChangedCallback(name, before) {
    if (before === null) return;
    this.#read();
    if (name === "data-due") this.#said = this.#stage();
    this.#tick();
  }

  #read() {
    this.#ahead = Date.parse(this.dataset.now ?? "") - Date.now() || 0;
  }

  get #leftS() {
    return (Date.parse(this.dataset.due ?? "") - Date.now() - this.#ahead) / 1000;
  }

  get #targetS() {
    return (Date.parse(this.dataset.due ?? "") - Date.parse(this.dataset.started ?? "")) / 1000;
  }

  #stage() {
    const part = this.#leftS / this.#targetS;
    return part <= 0 ? "late" : part <= SOON ? "soon" : part <= 0.5 ? "half" : "";
  }

  #tick() {
    const [left, stage] = [this.#leftS, this.#stage()];
    this.#text.textContent = stage === "late" ? `${words.over} ${span(-left)}` : span(left);
    for (const state of ["soon", "late"]) {
      if (state === stage) this.#internals.states.add(state);
      else this.#internals.states.delete(state);
    }
    if (stage === this.#said) return;
    this.#said = stage;
    if (stage) {
      const detail = { stage, name: this.dataset.name ?? "", minutes: Math.ceil(left / 60) };
      this.dispatchEvent(new CustomEvent("threshold", { bubbles: true, composed: true, detail }));
    }
  }
}

customElements.define("rvr-timer", Timer);
