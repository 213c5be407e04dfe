/**
 * `<rvr-call>`: the officer's side of the call. It stands outside the part of the page that is swapped, takes its seat
 * from there, and stays through every change of the case. It shows the victim's presence as the case has it.
 */

import { Call } from "./call.js";
import { OTHERS, Tiles } from "./tiles.js";

/** @typedef {import("./call.js").CallState} CallState */

class OfficerCall extends HTMLElement {
  /** @type {Call|null} */ #call = null;
  /** @type {Record<string, string>} */ #words = {};
  /** @type {CallState} */ #state = "idle";
  #seat = "";
  #code = "";
  #muted = false;
  #cameraOff = false;
  /** @type {Tiles|null} */ #tiles = null;

  connectedCallback() {
    this.#words = JSON.parse(this.dataset.words ?? "{}");
    const [large, tiles] = [this.#video("remote"), this.#part("tiles")];
    this.#tiles = new Tiles({ large, label: this.#part("main"), tiles }, JSON.parse(tiles.dataset.words ?? "{}"));
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

  get #self() {
    return this.#video("self");
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
    this.#tiles?.mute(now.voice === "phone");
    this.#tiles?.show(JSON.parse(now.people || "[]"));
    // A guest is told how the own seat stands; the officer, how the victim is.
    this.#show(now.own && now.own !== "here" && now.own !== "away" ? now.own : now.presence ?? "none");
    this.#part("rec").hidden = now.recording === undefined;
    this.#tellLine(now);
  };

  /** How the call gets through, in words. @param {DOMStringMap|Record<string, string>} now */
  #tellLine(now) {
    const [words, running] = [this.#words, this.#running];
    const own = this.#call?.own ?? { picture: "", microphone: "", heard: true };
    const ring = this.#part("ring");
    setText(ring, now.ring ? words.ring.replace("{number}", now.ring) : "");
    ring.hidden = !now.ring;
    const quiet = running && this.#state === "connected" && now.presence === "on_video" && !own.heard;
    const told = [
      now.overlooked ? words.not_alone : "",
      now.voice === "phone" ? words.voice_phone : words[`other_mic_${now.microphone}`],
      now.presence === "opened" || now.presence === "waiting" ? words[`fault_${now.fault}`] : "",
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
    const seat = { url: `/api/v1/media/${this.#seat}`, csrf, others: OTHERS };
    const call = (this.#call = new Call({ ...seat, camera: !this.#cameraOff }));
    this.#code = "";
    call.on("state", ({ state, code }) => {
      if (state === "failed") return this.#fail(code);
      this.#state = state;
      this.#look();
    });
    call.on("localstream", ({ stream, video }) => {
      this.#self.srcObject = stream;
      this.#self.hidden = !video;
    });
    call.on("remotestream", ({ stream, at }) => this.#tiles?.stream(at, stream));
    for (const type of ["quality", "microphone", "other"]) call.on(type, this.#look);
    for (const type of ["audioonly", "pictureonly"]) call.on(type, () => this.#note(type));
    call.on("deviceerror", ({ code }) => this.#note(code));
    try {
      await call.join();
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
    this.#self.srcObject = null;
    this.#self.hidden = true;
    this.#tiles?.clear();
    this.#code = "";
    if (call) this.#look();
  }

  /** @param {"mute"|"camera"} what */
  #switch(what) {
    if (what === "mute") this.#muted = !this.#muted;
    else this.#cameraOff = !this.#cameraOff;
    if (what === "camera") this.#call?.camera(!this.#cameraOff);
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
