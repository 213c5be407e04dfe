/**
 * A page of the call that was opened by a link: its seat, its feed, its connection, and the way back to each. What is
 * asked before, what is said of the call and what else can be done is the victim's page's (join.js) or a guest's.
 */

import { Asking, pause } from "./asking.js";
import { Call } from "./call.js";
import { button, el, say, showOnly, switched, trouble, video } from "./parts.js";
import { OTHERS, Tiles } from "./tiles.js";

/** @typedef {import("./tiles.js").Sitting} Sitting */
/** @typedef {{state: string, people: Sitting[]} & Record<string, any>} Told  what the desk tells of the call */

/** After a join without an answer, if nobody taps before. */
const JOIN_AGAIN_MS = 3000;
const FEED_AGAIN_MS = 2000;

export class LinkPage {
  words = JSON.parse(document.body.dataset.words || "{}");
  roles = JSON.parse(document.body.dataset.people || "{}");
  /** Why a link is refused, by code, in the page's own language. @type {Record<string, string>} */
  reasons = JSON.parse(document.body.dataset.reasons || "{}");
  tiles = new Tiles({ large: video("remote"), label: el("shown"), tiles: el("tiles") }, this.roles);
  /** @type {Call|null} */ call = null;
  /** What the desk says of the call. @type {Told} */
  told = { state: "", people: [] };
  /** What this page's own connection does. */
  line = "idle";
  /** What the desk is asked and told. @type {Asking} */ desk;
  /** Left by the exit: whatever still comes is ignored. */
  gone = false;
  #seat = "";
  /** The servers, as the desk tells them with the seat. @type {import("./signalling.js").Ice|undefined} */ #ice;
  #token = "";
  /** Grows with each link and each try to join: whatever an earlier one still brings is ignored. */
  #turn = 0;
  /** @type {EventSource|null} */ #feed = null;
  #muted = false;
  #hushed = false;
  #cameraOff = false;

  /** @param {string} api  what this page asks the desk by */
  constructor(api) {
    this.desk = new Asking(api, () => this.renew());
    this.#takeToken();
    addEventListener("hashchange", () => this.#begin());
    button("retry").onclick = () => this.enter();
    button("mute").onclick = () => this.#switchMute();
    button("camera").onclick = () => this.switchCamera(!this.#cameraOff);
    this.#ready(true); // until here a tap would have been lost
    if (!this.#token) this.renew().catch(() => {});
  }

  // --- what the pages add ---

  /** What the desk is told with the token. @returns {object} */
  hello() {
    return {};
  }

  /** The page has a seat, or has it again. */
  seated() {}

  /** What the desk tells of the call. @param {Told} told */
  hear(told) {
    this.told = told;
    this.desk.over = told.state === "ended";
    this.tiles.show(told.people);
  }

  /** Everything that is said of the call. */
  show() {}

  /** What the call tells of itself. @param {Call} call */
  follow(call) {}

  /** The connection cannot be made, or was taken away. @param {string} code */
  failed(code) {
    this.line = "failed";
    // Camera and microphone are not held for a call that another tab has.
    if (code === "taken-over") this.release();
    this.show();
    say("note", this.words[code] ?? this.words.failed);
    el("retry").hidden = false;
  }

  // --- the link and the seat ---

  /** The token leaves the address at once, so that nobody reads it there later. */
  #takeToken() {
    const given = location.hash.slice(1);
    if (!given) return false;
    history.replaceState(null, "", location.pathname);
    this.#token = given;
    return true;
  }

  /** The link as it was sent, until it is redeemed. */
  get link() {
    return this.#token ? `${location.href}#${this.#token}` : "";
  }

  /** A link that is opened while this page is open leads back to its beginning, whatever went on here. */
  #begin() {
    if (!this.#takeToken()) return;
    this.#turn += 1;
    this.leave();
    this.told = { state: "", people: [] };
    this.line = "idle";
    trouble();
    showOnly("welcome");
    this.#ready(true);
    button("join").focus();
  }

  /** @param {boolean} ready  whether a tap begins something */
  #ready(ready) {
    for (const one of el("welcome").querySelectorAll("button")) one.disabled = !ready;
  }

  /**
   * The seat is found again by the cookie alone, and with it the token that unsafe requests carry. Nothing is shown.
   * @returns {Promise<number>} the status
   */
  async renew() {
    const response = await this.desk.post("");
    if (response.ok) {
      ({ csrf: this.desk.csrf } = await response.json());
      if (this.call) this.call.csrf = this.desk.csrf;
      this.seated();
    }
    return response.status;
  }

  /** The token is kept until the server has answered: the next try is good, even if it heard this one. */
  async join() {
    const mine = ++this.#turn;
    this.#ready(false);
    try {
      const response = await this.desk.post("", this.#token ? { token: this.#token, ...this.hello() } : {});
      const answer = await response.json();
      if (mine !== this.#turn) return;
      if (!response.ok) {
        const why = !this.#token && response.status === 401 ? this.words.no_link : this.#why(answer.reasons);
        if (!why) throw new Error(answer.code); // as if it had not been heard: it is tried again
        return trouble(why);
      }
      trouble();
      this.#token = "";
      ({ csrf: this.desk.csrf, seat: this.#seat } = answer);
      this.#ice = answer;
      this.seated();
      this.hear(answer);
    } catch {
      if (mine !== this.#turn) return;
      trouble(this.words.offline);
      pause(JOIN_AGAIN_MS).then(() => mine === this.#turn && !this.gone && this.join());
      return;
    } finally {
      if (mine === this.#turn) this.#ready(true);
    }
    if (this.told.state === "ended") return this.end();
    this.#listen();
    await this.enter();
  }

  /**
   * Why the link, or what was filled in, is refused. Whatever else a desk may lack is nothing to say here.
   * @param {{code: string, text: string, field?: string}[]} [told]
   */
  #why(told = []) {
    const said = told.map((one) => this.reasons[one.code] ?? (one.field ? one.text : ""));
    return [...new Set(said)].filter(Boolean).join(" ");
  }

  // --- the call ---

  /** Camera and microphone, then the call: what is sent while waiting needs no press later. */
  async enter() {
    this.call?.leave();
    this.tiles.clear();
    const seat = { url: `/api/v1/media/${this.#seat}`, csrf: this.desk.csrf, ice: this.#ice };
    const mine = (this.call = new Call({ ...seat, others: OTHERS, camera: !this.#cameraOff }));
    showOnly("call");
    el("retry").hidden = true;
    say("note");
    this.#follow(mine);
    this.show();
    el("call-title").focus();
    try {
      await mine.join();
    } catch (error) {
      if (this.call === mine) this.failed(/** @type {{code?: string}} */ (error).code ?? "failed");
    }
    this.hush(this.#hushed);
  }

  /** @param {Call} call */
  #follow(call) {
    call.on("localstream", ({ stream }) => (video("self").srcObject = stream));
    call.on("remotestream", ({ at, stream }) => this.tiles.stream(at, stream));
    call.on("state", ({ state, code }) => {
      this.line = state;
      if (state === "failed") this.failed(code);
      else this.show();
    });
    for (const type of ["quality", "microphone", "other"]) call.on(type, () => this.show());
    // Where a page says it with how the call gets through, it has no sentence for it here.
    for (const type of ["audioonly", "pictureonly"]) call.on(type, () => say("note", this.words[type]));
    call.on("deviceerror", ({ code }) => say("note", this.words[code]));
    this.follow(call);
  }

  /** While both talk on the phone, the page is silent both ways: nobody is heard twice. @param {boolean} hushed */
  hush(hushed) {
    this.#hushed = hushed;
    this.call?.mute(this.#muted || hushed);
    this.tiles.mute(hushed);
  }

  #switchMute() {
    this.#muted = !this.#muted;
    this.hush(this.#hushed);
    switched("mute", this.#muted, this.words[this.#muted ? "unmute" : "mute"]);
  }

  /** The camera that was never on is asked for when it is switched on. @param {boolean} off */
  switchCamera(off) {
    this.#cameraOff = off;
    this.call?.camera(!off);
    switched("camera", off, this.words[off ? "camera_on" : "camera_off"]);
  }

  // --- the feed ---

  /** The state of the call in a word, and who is in it. It comes back by itself; a refused one ends it. */
  #listen() {
    this.#feed?.close();
    const mine = (this.#feed = new EventSource(`${this.desk.api}/live`));
    mine.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.type !== "state" || this.#feed !== mine) return;
      this.hear(message);
      if (this.told.state === "ended") this.end();
      else this.show();
    };
    mine.onerror = () => {
      if (mine.readyState === EventSource.CLOSED) setTimeout(() => this.#again(mine), FEED_AGAIN_MS);
    };
  }

  /** After a refused feed the seat is asked for again: the call may be over. @param {EventSource} mine */
  async #again(mine) {
    if (this.gone || this.#feed !== mine) return;
    const status = await this.renew().catch(() => 0);
    if (this.#feed !== mine) return;
    if (status === 401 || status === 404) this.end();
    else if (status) this.#listen();
    else setTimeout(() => this.#again(mine), FEED_AGAIN_MS);
  }

  // --- the end ---

  end() {
    this.leave();
    this.told = { state: "ended", people: [] };
    this.desk.over = true;
    showOnly("ended");
    el("ended-title").focus();
  }

  /** Camera and microphone are released, for this page's call alone. */
  release() {
    const call = this.call;
    this.call = null;
    call?.leave();
    this.tiles.clear();
    video("self").srcObject = null;
  }

  /** Camera and microphone stop, the pictures go, the feed is closed. */
  leave() {
    this.release();
    this.#feed?.close();
    this.#feed = null;
    this.hear({ ...this.told, people: [] });
  }
}
