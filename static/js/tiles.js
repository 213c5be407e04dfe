/**
 * The pictures of everybody else in the call: one large, a tile each for the others, with the role under it all the
 * time, whether or not a picture comes. Nobody is in the call without one. A press makes a tile's picture the large one:
 * whoever follows an interpreter's hands needs them large.
 */

/** @typedef {{role: string, state: string, at: number|null, guest?: string, mine?: boolean}} Sitting */

/** Pictures beside the large one: a room has four seats. */
export const OTHERS = 2;

/**
 * @typedef {object} Parts
 * @property {HTMLVideoElement} large
 * @property {HTMLElement} label   who is in the large picture
 * @property {HTMLElement} tiles
 */

export class Tiles {
  /** @type {Map<number, HTMLElement>} */ #tiles = new Map();
  /** @type {Map<number, MediaStream>} */ #streams = new Map();
  /** @type {Map<number, Sitting>} */ #people = new Map();
  /** The place whose picture is large; the tile of that place shows the first one's meanwhile. */
  #large = 0;
  #muted = false;
  #hidden = false;
  #parts;
  #words;

  /** @param {Parts} parts @param {Record<string, string>} words */
  constructor(parts, words) {
    this.#parts = parts;
    this.#words = words;
  }

  /** Everybody in the room; whoever arrives first is large, unless another was chosen. @param {Sitting[]} people */
  show(people) {
    this.#people = new Map(people.filter((one) => one.at !== null).map((one) => [/** @type {number} */ (one.at), one]));
    for (const [at, tile] of this.#tiles) if (!this.#people.has(at)) this.#drop(at, tile);
    if (!this.#people.has(this.#large)) this.#enlarge(0);
    for (const at of this.#people.keys()) if (at && !this.#tiles.has(at)) this.#make(at);
    for (const [at, tile] of this.#tiles) this.#caption(this.#place(at), tile);
    const said = this.#role(this.#large);
    if (this.#parts.label.textContent !== said) this.#parts.label.textContent = said;
    this.#parts.tiles.hidden = !this.#tiles.size;
  }

  /** What arrives in this place. @param {number} at @param {MediaStream} stream */
  stream(at, stream) {
    this.#streams.set(at, stream);
    this.#play();
  }

  /** Whether everybody's sound is off. @param {boolean} muted */
  mute(muted) {
    this.#muted = muted;
    this.#play();
  }

  /** On hold nothing is seen, not even a picture that stands still. @param {boolean} hidden */
  hide(hidden) {
    this.#hidden = hidden;
    this.#play();
  }

  /** Nothing arrives any more. */
  clear() {
    this.#streams.clear();
    this.#play();
  }

  /** Whose picture the tile of this place shows. @param {number} at */
  #place(at) {
    return at === this.#large ? 0 : at;
  }

  /** @param {number} at */
  #role(at) {
    const role = this.#people.get(at)?.role ?? "";
    return this.#words[role] ?? role;
  }

  /** @param {number} at */
  #enlarge(at) {
    this.#large = at;
    this.#play();
  }

  /** @param {number} at @param {HTMLElement} tile */
  #drop(at, tile) {
    tile.remove();
    this.#tiles.delete(at);
    this.#streams.delete(at);
  }

  /** @param {number} at of the person @param {HTMLElement} tile */
  #caption(at, tile) {
    const one = this.#people.get(at);
    tile.dataset.state = one?.state ?? "";
    const caption = /** @type {HTMLElement} */ (tile.querySelector("figcaption"));
    const said = [this.#role(at), this.#words[one?.state ?? ""]].filter(Boolean).join(", ");
    if (caption.textContent !== said) caption.textContent = said;
    const button = /** @type {HTMLElement} */ (tile.querySelector("button"));
    button.setAttribute("aria-label", `${this.#words.larger}: ${this.#role(at)}`);
  }

  /** @param {number} at */
  #make(at) {
    const tile = document.createElement("figure");
    tile.className = "rvr-tile";
    const video = document.createElement("video");
    video.autoplay = video.playsInline = true;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "rvr-tile__larger";
    button.textContent = this.#words.larger;
    button.onclick = () => {
      this.#enlarge(at === this.#large ? 0 : at);
      this.show([...this.#people.values()]);
    };
    tile.append(video, document.createElement("figcaption"), button);
    const before = [...this.#tiles].filter(([other]) => other < at).length;
    this.#parts.tiles.insertBefore(tile, this.#parts.tiles.children[before] ?? null);
    this.#tiles.set(at, tile);
    this.#play();
  }

  #play() {
    this.#put(this.#parts.large, this.#large);
    for (const [at, tile] of this.#tiles) {
      this.#put(/** @type {HTMLVideoElement} */ (tile.querySelector("video")), this.#place(at));
    }
  }

  /** @param {HTMLVideoElement} video @param {number} at of the person */
  #put(video, at) {
    const stream = this.#hidden ? null : (this.#streams.get(at) ?? null);
    video.muted = this.#muted;
    if (video.srcObject === stream) return;
    video.srcObject = stream;
    if (stream) video.play().catch(() => {});
  }
}
