/**
 * `<rvr-call>`: the officer's side of the call. It stands outside the part of the page that is swapped, takes its seat
 * from there, and stays through every change of the case. It shows the victim's presence as the case has it.
 */

import { Call } from "./call.js";
import { mainWords, OTHERS, Tiles } from "./tiles.js";

/** @typedef {import("./call.js").CallState} CallState */

class OfficerCall extends HTMLElement {
  /** @type {Call|null} */ #call = null;
  /** @type {Record<string, string>} */ #words = {};
  /** @type {Record<string, string>} */ #roles = {};
  /** @type {CallState} */ #state = "idle";
  #seat = "";
  #code = "";
  #muted = false;
  #cameraOff = false;
  /** @type {Tiles|null} */ #tiles = null;
  /** What this browser sends, whether its microphone brings sound, and whether the victim is heard. */
  #own = { picture: "video_480", microphone: "works", heard: true };

  connectedCallback() {
    this.#words = JSON.parse(this.dataset.words ?? "{}");
    this.#roles = JSON.parse(this.#part("tiles").dataset.words ?? "{}");
    this.#tiles = new Tiles(this.#part("tiles"), this.#roles);
    this.#part("join").onclick = () => this.#join();
    this.#part("leave").onclick = () => this.#leave();
    this.#part("mute").onclick = () => this.#switch("mute");
    this.#part("camera").onclick = () => this.#switch("camera");
    document.addEventListener("fragment", this.#look);
    addEventListener("beforeunload", this.#ask);
    this.#look();
  }

  disconnectedCallback() {
    document.removeEventListener("fragment", this.#look);
    removeEventListener("beforeunload", this.#ask);
    this.#leave();
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    return /** @type {HTMLElement} */ (this.querySelector(`[data-part="${name}"]`));
  }

  /** @param {string} kind @returns {HTMLVideoElement} */
  #video(kind) {
    return /** @type {HTMLVideoElement} */ (this.querySelector(`.rvr-call__${kind}`));
  }

  get #running() {
    return ["joining", "connected", "reconnecting"].includes(this.#state);
  }

  /** What the case says now: the seat, and how it stands with the victim. */
  #look = () => {
    const now = /** @type {HTMLElement|null} */ (document.querySelector("#case-now"))?.dataset ?? {};
    const seat = now.seat ?? "";
    if (seat !== this.#seat) {
      this.#leave();
      this.#seat = seat;
      this.#state = "idle";
    }
    this.hidden = !seat;
    this.closest(".rvr-case")?.toggleAttribute("data-call", Boolean(seat));
    // While both talk on the phone, this page is silent both ways: nobody is heard twice.
    this.#call?.mute(this.#muted || now.voice === "phone");
    this.#video("remote").muted = now.voice === "phone";
    this.#tiles?.mute(now.voice === "phone");
    const people = JSON.parse(now.people || "[]");
    this.#tiles?.show(people);
    setText(this.#part("main"), mainWords(people, this.#roles));
    // A guest is told how the own seat stands; the officer, how the victim is.
    this.#show(now.own && now.own !== "here" && now.own !== "away" ? now.own : now.presence ?? "none");
    this.#part("rec").hidden = now.recording === undefined;
    this.#tellLine(now);
  };

  /** How the call gets through, in words. @param {DOMStringMap|Record<string, string>} now */
  #tellLine(now) {
    const [words, running, own] = [this.#words, this.#running, this.#own];
    const ring = this.#part("ring");
    setText(ring, now.ring ? words.ring.replace("{number}", now.ring) : "");
    ring.hidden = !now.ring;
    const quiet = running && this.#state === "connected" && now.presence === "on_video" && !own.heard;
    const told = [
      now.voice === "phone" ? words.voice_phone : words[`other_mic_${now.microphone}`],
      running && words[`own_mic_${own.microphone}`],
      quiet ? words.other_quiet : now.ring ? "" : words[`other_${now.picture}`],
      running && words[`own_${own.picture}`],
    ];
    setText(this.#part("line"), told.filter(Boolean).join(" "));
  }

  /** @param {BeforeUnloadEvent} event */
  #ask = (event) => {
    if (this.#running) event.preventDefault();
  };

  async #join() {
    const csrf = document.body.dataset.csrf ?? "";
    const call = new Call({ url: `/api/v1/media/${this.#seat}`, csrf, others: OTHERS });
    this.#call = call;
    this.#code = "";
    call.addEventListener("state", (event) => {
      const { state, code } = /** @type {CustomEvent} */ (event).detail;
      if (this.#call !== call) return;
      if (state === "failed") return this.#fail(code);
      this.#state = state;
      this.#look();
    });
    call.addEventListener("localstream", (event) => {
      const self = this.#video("self");
      self.srcObject = /** @type {CustomEvent} */ (event).detail.stream;
      self.hidden = !(/** @type {CustomEvent} */ (event).detail.video);
    });
    call.addEventListener("remotestream", (event) => {
      const { stream, at } = /** @type {CustomEvent} */ (event).detail;
      if (at) return this.#tiles?.stream(at, stream);
      const remote = this.#video("remote");
      remote.srcObject = stream;
      remote.play().catch(() => {});
    });
    this.#own = { picture: "video_480", microphone: "works", heard: true };
    for (const [type, name, key] of [["quality", "after", "picture"], ["microphone", "cause", "microphone"], ["other", "heard", "heard"]]) {
      call.addEventListener(type, (event) => {
        if (this.#call !== call) return;
        Object.assign(this.#own, { [key]: /** @type {CustomEvent} */ (event).detail[name] });
        this.#look();
      });
    }
    call.addEventListener("audioonly", () => this.#note("audioonly"));
    call.addEventListener("deviceerror", (event) => this.#note(/** @type {CustomEvent} */ (event).detail.code));
    try {
      await call.join();
      call.camera(!this.#cameraOff);
      this.#look();
    } catch (error) {
      call.leave();
      if (this.#call === call) this.#fail(/** @type {{code?: string}} */ (error).code ?? "failed");
    }
  }

  /** The call is over for this page: camera and microphone are released. @param {string} code */
  #fail(code) {
    this.#leave();
    this.#state = "failed";
    this.#code = code;
    this.#look();
  }

  #leave() {
    const call = this.#call;
    this.#call = null;
    call?.leave();
    if (call) this.#state = "ended";
    this.#video("self").srcObject = null;
    this.#video("self").hidden = true;
    this.#video("remote").srcObject = null;
    this.#tiles?.clear();
    this.#code = "";
    if (call) this.#look();
  }

  /** @param {"mute"|"camera"} what */
  #switch(what) {
    if (what === "mute") this.#muted = !this.#muted;
    else this.#call?.camera(!(this.#cameraOff = !this.#cameraOff));
    this.#look();
  }

  /** @param {string} code */
  #note(code) {
    this.#code = code;
    this.#look();
  }

  /** @param {string} presence */
  #show(presence) {
    const [words, running] = [this.#words, this.#running];
    const again = this.#state === "ended" || this.#state === "failed";
    const told = [words[this.#state], words[this.#code]].filter(Boolean).join(" ");
    setText(this.#part("state"), told);
    const waits = presence === "waiting" && running ? "waiting_joined" : presence;
    setText(this.#part("overlay"), presence === "on_video" && !running ? words.idle : words[`o_${waits}`] ?? "");
    setText(this.#part("join"), again ? words.rejoin : words.join);
    this.#part("join").hidden = running;
    for (const name of ["leave", "mute", "camera"]) this.#part(name).hidden = !running;
    setText(this.#part("mute"), this.#muted ? words.unmute : words.mute);
    setText(this.#part("camera"), this.#cameraOff ? words.camera_on : words.camera_off);
    this.#part("mute").setAttribute("aria-pressed", String(this.#muted));
    this.#part("camera").setAttribute("aria-pressed", String(this.#cameraOff));
  }
}

/** A status region speaks when its text is set, even to the same text. @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

customElements.define("rvr-call", OfficerCall);
