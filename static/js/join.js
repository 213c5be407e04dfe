/**
 * The victim's page. One address for the whole way; nothing is stored in the browser but the join cookie; leaving by
 * the exit stops camera and microphone first and cannot be undone by "Back". No key leaves the page: on phones the
 * Shift key is pressed by typing.
 */

import { Attending } from "./attending.js";
import { Conversation } from "./conversation.js";
import { isInsideAnApp } from "./elsewhere.js";
import { speak } from "./language.js";
import { LinkPage } from "./link-page.js";
import { button, el, say, showOnly, trouble, video } from "./parts.js";
import { People } from "./people.js";
import { Questions } from "./questions.js";
import { randomId } from "./random-id.js";
import { playTones, SoundCheck } from "./sound-check.js";

/** @typedef {import("./link-page.js").Told} Told */

const EXIT_TO = /** @type {HTMLAnchorElement} */ (el("exit")).href;
/** The first round trips of a new connection say little. */
const SETTLE_MS = 2000;
/** Speech suffers from 150 ms each way (ITU-T G.114). */
const SLOW_MS = 300;
/** From then on the page says that it takes longer than usual. */
const LONG_MS = 120_000;
const DEVICE_FAULTS = new Set(["denied", "notfound", "busy", "insecure", "unsupported"]);
/** Questions that are none of consent, each with where its answer goes. @type {Record<string, string>} */
const ANSWERS = { camera: "/camera", private: "/clear" };
/** What this phone's own connection is told as; else it is what the desk says. @type {Record<string, string>} */
const LINE = { failed: "off", reconnecting: "reconnecting", joining: "joining", preview: "joining" };

class VictimPage extends LinkPage {
  /** What is known of camera, microphone and line. */
  #device = { camera: false, microphone: false, network: "", fault: "" };
  #checked = "";
  #checking = false;
  /** Whether only words are written: neither camera nor microphone is asked for. */
  #writes = false;
  /** Whether somebody who must not read along has come in, and the desk does not know yet. */
  #covered = false;
  /** Since when this page waits. */
  #waiting = 0;
  /** Calls for help that the desk has not answered yet. @type {Set<{command_id: string}>} */
  #unheard = new Set();
  #people = new People(
    { list: el("people"), ask: el("ask") },
    this.words,
    this.roles,
    (action, guest) => this.desk.insist(`/${action}`, { guest, command_id: randomId() }),
  );
  #questions = new Questions(this.words, (kind, answer) => this.#reply(kind, answer));
  #conversation = new Conversation(el("write"), this.roles, (body) => this.#write(body));
  #sound = new SoundCheck(/** @type {HTMLMeterElement} */ (el("level")));
  /** Where the page is, is told as soon as it has a seat; a word that is lost is followed by the next. */
  #attending = new Attending((state, leaving) => {
    if (this.desk.csrf && !this.gone) this.desk.post("/present", { state }, leaving).catch(() => {});
  });

  constructor() {
    super("/api/v1/join");
    el("exit").addEventListener("click", (event) => this.#exit(event), { capture: true });
    el("help").onclick = () => this.#help();
    el("unclear").onclick = () => this.#unclear();
    el("flip").onclick = () => this.#flip();
    el("tone").onclick = () => playTones();
    for (const [id, writes] of /** @type {const} */ ([["join", false], ["unseen", false], ["writing", true]])) {
      button(id).addEventListener("click", () => {
        this.#writes = writes;
        this.switchCamera(id === "unseen");
        trouble();
        this.join();
      });
    }
    el("elsewhere").hidden = !isInsideAnApp() && Boolean(navigator.mediaDevices);
    el("copy").onclick = () => this.#copy();
    for (const one of document.querySelectorAll("[data-language]")) {
      one.addEventListener("click", () => this.#speak(one.getAttribute("data-language") ?? ""));
    }
    addEventListener("pagehide", () => this.#lastWords());
    addEventListener("pageshow", (event) => {
      if (event.persisted && this.gone) location.replace(EXIT_TO);
    });
  }

  /** @param {string} language */
  async #speak(language) {
    const told = await speak(language);
    if (!told) return trouble(this.words.offline);
    for (const name of /** @type {const} */ (["words", "people", "reasons"])) {
      const mine = { words: this.words, people: this.roles, reasons: this.reasons }[name];
      Object.assign(mine, JSON.parse(told[name] ?? "{}"));
    }
    trouble();
  }

  /** Before the call: the way into the phone's own browser. */
  async #copy() {
    const copied = this.link && (await navigator.clipboard?.writeText(this.link).then(() => true, () => false));
    say("copied", this.words[copied ? "copied" : "not_copied"]);
  }

  // --- the seat ---

  /** Who has a seat can ask for help at once, even before the call is entered again. */
  seated() {
    el("help").hidden = false;
    this.#attending.start();
  }

  /** @param {Told} told */
  hear(told) {
    super.hear(told);
    Object.assign(this.#questions.wording, told.wording);
    this.#people.show(told.people);
    this.#questions.show(told.asks ?? [], Boolean(told.recording));
    this.#conversation.show((!this.#covered && told.messages) || []);
    this.hush(told.voice === "phone");
    this.#waiting ||= Date.now();
  }

  // --- the call ---

  /** By writing alone, or by camera and microphone as well. */
  async enter() {
    say("retry", this.words[this.#writes ? "talk" : "retry"]);
    if (!this.#writes) return super.enter();
    el("write").setAttribute("open", "");
    this.#writes = false; // the button leads to camera and microphone
    showOnly("call");
    el("retry").hidden = false;
    this.show();
    el("call-title").focus();
  }

  /** @param {import("./call.js").Call} call */
  follow(call) {
    setTimeout(() => this.show(), LONG_MS);
    call.on("localstream", ({ video: camera, audio: microphone, facing }) => {
      video("self").dataset.facing = facing;
      this.#check({ camera, microphone });
      this.#cameras(camera);
    });
    call.on("state", ({ state }) => {
      if (state === "connected") setTimeout(() => this.#measure(), SETTLE_MS);
      if (state === "reconnecting") this.#check({ network: "none" });
    });
    for (const type of ["audioonly", "pictureonly", "deviceerror"]) {
      call.on(type, ({ code }) => this.#check({ fault: code }));
    }
  }

  /** @param {string} code */
  failed(code) {
    if (DEVICE_FAULTS.has(code)) this.#check({ camera: false, microphone: false, fault: code });
    super.failed(code);
  }

  /** What has changed goes to the officer. @param {Partial<{camera: boolean, microphone: boolean, network: string, fault: string}>} news */
  async #check(news) {
    if (news.camera && news.microphone) news.fault = "";
    Object.assign(this.#device, news);
    if (this.#checking) return;
    this.#checking = true;
    await new Promise((resolve) => setTimeout(resolve)); // what is found at once is told at once, and in its order
    for (let found = ""; (found = JSON.stringify(this.#device)) !== this.#checked; ) {
      this.#checked = found;
      await this.desk.post("/device", { ...this.#device }).catch(() => {});
    }
    this.#checking = false;
  }

  /** How far away the video service is. */
  async #measure() {
    if (this.call?.state !== "connected") return;
    const { roundTripMs } = await this.call.stats();
    if (roundTripMs !== null) this.#check({ network: roundTripMs > SLOW_MS ? "slow" : "good" });
  }

  /** Whether there is another camera to show something with, which is known once one is open. @param {boolean} open */
  async #cameras(open) {
    const all = await navigator.mediaDevices.enumerateDevices();
    el("flip").hidden = !open || all.filter(({ kind }) => kind === "videoinput").length < 2;
  }

  async #flip() {
    await this.call?.switchCamera().catch(() => say("note", this.words.flip_failed));
  }

  // --- what is said ---

  show() {
    const own = LINE[this.line];
    const state = own === "joining" && this.told.state === "waiting" ? "waiting" : (own ?? this.told.state);
    const waits = state === "waiting";
    say("state", this.words[state]);
    say("say", this.words[`${state}_say${waits ? this.#waited() : ""}`]);
    // The officer reads that a signal stands here: so it does, whatever this phone's own connection does.
    say("line", own ? this.words[`signal_${this.told.signal}`] : this.#sentences());
    el("screen").dataset.state = this.told.state === "connected" ? "connected" : "waiting";
    for (const id of ["screen", "mute", "camera"]) el(id).hidden = !this.call && this.line === "idle";
    el("check").hidden = !(waits && this.call);
    if (waits && this.call) this.#sound.watch(async () => (await this.call?.stats())?.micLevel ?? 0);
    else this.#sound.stop();
  }

  /** How the call gets through, in words: the most that matters first, and two sentences at most. */
  #sentences() {
    const own = this.call?.own ?? { picture: "", microphone: "", heard: true };
    const found = [
      this.words[`signal_${this.told.signal}`],
      this.told.voice === "phone" ? this.words.voice_phone : this.words[`mic_${own.microphone}`],
      this.words[`own_${own.picture}`],
      own.heard || this.told.state !== "connected" ? this.words[`other_${this.told.picture}`] : this.words.other_quiet,
    ];
    return found.filter(Boolean).slice(0, 2).join(" ");
  }

  /** What is said of the wait: whether the officer is there already, and that nobody is forgotten when it takes long. */
  #waited() {
    if (this.told.people.some((one) => one.role === "officer" && one.state === "here")) return "_here";
    return Date.now() - this.#waiting > LONG_MS ? "_long" : "";
  }

  // --- what is answered and asked ---

  /** @param {string} kind @param {import("./questions.js").Answer} answer */
  async #reply(kind, answer) {
    if (kind === "camera" && answer === "given") await this.#flip();
    const path = ANSWERS[kind];
    const body = path ? { answer } : { kind, answer };
    const status = await this.desk.insist(path ?? "/consent", { ...body, command_id: randomId() }, this.#unheardOf);
    if (status >= 400) say("note", this.words.answer_again);
  }

  /** @param {{text: string, command_id: string}} body */
  async #write(body) {
    const status = await this.desk.insist("/message", body, this.#unheardOf);
    if (status >= 400) say("note", this.words.not_written);
    return status > 0 && status < 400;
  }

  /** @param {number} status */
  #unheardOf = (status) => {
    if (!status) say("note", this.words.offline);
  };

  /** Somebody has come in: whoever looks on reads a complaint about the connection, and what was written is gone. */
  async #unclear() {
    this.#covered = true;
    this.#conversation.show([]);
    say("note", this.words.joining);
    await this.desk.insist("/not-alone", { command_id: randomId() });
    say("note", this.words.unclear_say); // by this, and by nothing else, the victim knows that it was heard
    this.#covered = false;
  }

  /** Help is asked for until the desk has heard it, for as long as the page lives; the screen stays as it is. */
  async #help() {
    const press = { command_id: randomId() };
    this.#unheard.add(press);
    await this.desk.insist("/unsafe", press);
    this.#unheard.delete(press);
  }

  /** A page that goes away says once more what was not heard; the desk knows the same press again. */
  #lastWords() {
    for (const press of this.#unheard) this.desk.post("/unsafe", press, true).catch(() => {});
  }

  // --- the end ---

  end() {
    this.#attending.stop();
    this.#sound.stop();
    el("help").hidden = true;
    super.end();
  }

  /** Camera and microphone first, then the word to the desk, then away: in this order, and without waiting. */
  #exit(/** @type {Event} */ event) {
    event.preventDefault();
    event.stopImmediatePropagation();
    this.gone = true;
    try {
      this.release();
      this.#attending.stop();
      document.documentElement.hidden = true;
      document.title = "";
      this.#lastWords();
      this.desk.post("/exit", { command_id: randomId() }, true).catch(() => {});
    } finally {
      location.replace(EXIT_TO);
    }
  }
}

new VictimPage();
