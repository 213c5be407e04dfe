/**
 * Who is in the call beside the one in the large picture: a tile each, with the role under it, all the time, whether or
 * not a picture comes. Nobody is in the call without a tile.
 */

/** @typedef {{role: string, state: string, at: number|null, guest?: string, mine?: boolean}} Sitting */

/** Pictures beside the large one: a room has four seats. */
export const OTHERS = 2;

export class Tiles {
  /** @type {Map<number, HTMLElement>} */ #tiles = new Map();
  /** @type {Map<number, MediaStream>} */ #streams = new Map();
  #muted = false;
  #root;
  #words;

  /** @param {HTMLElement} root @param {Record<string, string>} words */
  constructor(root, words) {
    this.#root = root;
    this.#words = words;
  }

  /** Everybody in the room; the large picture is the one that arrives first. @param {Sitting[]} people */
  show(people) {
    const here = people.filter((one) => one.at !== null && one.at > 0);
    const places = new Set(here.map((one) => one.at));
    for (const [at, tile] of this.#tiles) if (!places.has(at)) this.#drop(at, tile);
    for (const one of here) this.#put(/** @type {number} */ (one.at), one);
    this.#root.hidden = !here.length;
  }

  /** What arrives in this place. @param {number} at @param {MediaStream} stream */
  stream(at, stream) {
    this.#streams.set(at, stream);
    this.#play(at);
  }

  /** Whether the tiles' sound is off. @param {boolean} muted */
  mute(muted) {
    this.#muted = muted;
    for (const tile of this.#tiles.values()) /** @type {HTMLVideoElement} */ (tile.querySelector("video")).muted = muted;
  }

  /** Nothing arrives any more. */
  clear() {
    this.#streams.clear();
    for (const tile of this.#tiles.values()) /** @type {HTMLVideoElement} */ (tile.querySelector("video")).srcObject = null;
  }

  /** @param {number} at @param {HTMLElement} tile */
  #drop(at, tile) {
    tile.remove();
    this.#tiles.delete(at);
    this.#streams.delete(at);
  }

  /** @param {number} at @param {Sitting} one */
  #put(at, one) {
    const tile = this.#tiles.get(at) ?? this.#make(at);
    tile.dataset.state = one.state;
    const words = this.#words;
    const caption = /** @type {HTMLElement} */ (tile.querySelector("figcaption"));
    const said = [words[one.role] ?? one.role, words[one.state]].filter(Boolean).join(", ");
    if (caption.textContent !== said) caption.textContent = said;
  }

  /** @param {number} at */
  #make(at) {
    const tile = document.createElement("figure");
    tile.className = "rvr-tile";
    const video = document.createElement("video");
    video.autoplay = video.playsInline = true;
    video.muted = this.#muted;
    tile.append(video, document.createElement("figcaption"));
    const before = [...this.#tiles].filter(([other]) => other < at).length;
    this.#root.insertBefore(tile, this.#root.children[before] ?? null);
    this.#tiles.set(at, tile);
    this.#play(at);
    return tile;
  }

  /** @param {number} at */
  #play(at) {
    const [tile, stream] = [this.#tiles.get(at), this.#streams.get(at)];
    if (!tile || !stream) return;
    const video = /** @type {HTMLVideoElement} */ (tile.querySelector("video"));
    if (video.srcObject !== stream) video.srcObject = stream;
    video.play().catch(() => {});
  }
}

/** Who is in the large picture, by role. @param {Sitting[]} people @param {Record<string, string>} words */
export function mainWords(people, words) {
  const one = people.find((sitting) => sitting.at === 0);
  return one ? words[one.role] ?? one.role : "";
}
