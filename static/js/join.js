/**
 * The victim's page. One address for the whole way; nothing is stored in the browser but the join cookie; leaving by
 * the exit stops camera and microphone first and cannot be undone by "Back". No key leaves the page: on phones the
 * Shift key is pressed by typing.
 */

import { Attending } from "./attending.js";
import { Call } from "./call.js";
import { People } from "./people.js";
import { mainWords, OTHERS, Tiles } from "./tiles.js";

const EXIT_TO = /** @type {HTMLAnchorElement} */ (document.getElementById("exit")).href;
const words = JSON.parse(document.body.dataset.words || "{}");
const roles = JSON.parse(document.body.dataset.people || "{}");

/** Waits before a request is made again, in ms; the last one repeats. */
const BACKOFF_MS = [500, 1000, 2000, 4000, 5000];
/** After a join without an answer, if nobody taps before. */
const JOIN_AGAIN_MS = 3000;
/** The first round trips of a new connection say little. */
const SETTLE_MS = 2000;
/** Speech suffers from 150 ms each way (ITU-T G.114). */
const SLOW_MS = 300;
/** From then on the page says that it takes longer than usual. */
const LONG_MS = 120_000;
const DEVICE_FAULTS = new Set(["denied", "notfound", "busy", "insecure", "unsupported"]);
/** An answer that takes longer is not waited for: the request is made again. */
const HUNG_MS = 8000;

/** @param {string} id @returns {HTMLElement} */
const el = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id @returns {HTMLVideoElement} */
const video = (id) => /** @type {HTMLVideoElement} */ (document.getElementById(id));

/** @type {Call|null} */
let call = null;
/** @type {EventSource|null} */
let feed = null;
let csrf = "";
let seat = "";
/** The servers, as the desk tells them with the seat. @type {import("./signalling.js").Ice|undefined} */
let ice;
/** What the server says of the call: waiting, connected, interrupted, ended. */
let told = "waiting";
/** What this phone's own connection does. */
let line = "idle";
/** What the server says of the other side: what it sends, its microphone, and where both talk. */
let other = { picture: "video_480", microphone: "", voice: "call" };
/** What this phone sends, and whether its microphone brings sound. */
const own = { picture: "video_480", microphone: "works", heard: true };
let exited = false;
let muted = false;
let cameraOff = false;
/** @type {{camera: boolean, microphone: boolean, network: string, fault: string}} */
const device = { camera: false, microphone: false, network: "", fault: "" };
let checked = "";
/** Whether the officer is in the call, and since when this page waits. */
let here = false;
let waiting = 0;
/** What is asked about each kind of consent, in the workflow's words. @type {Record<string, string>} */
let wording = {};
/** The kind of consent that is asked for now. */
let asked = "";
let recorded = false;

/** Grows with each link and each try to join: whatever an earlier one still brings is ignored. */
let turn = 0;
/** Calls for help that the server has not answered yet. @type {Set<{command_id: string}>} */
const unheard = new Set();

const tiles = new Tiles(el("tiles"), roles);
const people = new People({ list: el("people"), ask: el("ask") }, { ...words, ...roles }, answered);
/** Where the page is, is told as soon as it has a seat; a word that is lost is followed by the next. */
const attending = new Attending((state, leaving) => {
  if (csrf && !exited) post("/present", { state }, leaving).catch(() => {});
});

// Until here a tap would have been lost.
/** @type {HTMLButtonElement} */ (el("join")).disabled = false;
let token = takeToken();
if (!token) renew().then(early, () => {});

/** The token leaves the address at once, so that nobody reads it there later. */
function takeToken() {
  const given = location.hash.slice(1);
  if (given) history.replaceState(null, "", location.pathname);
  return given;
}

/** A link that is opened while this page is open leads back to its beginning, whatever went on here. */
addEventListener("hashchange", () => {
  const given = takeToken();
  if (!given) return;
  token = given;
  turn += 1;
  leave();
  told = "waiting";
  line = "idle";
  trouble("");
  early();
  showOnly("welcome");
  /** @type {HTMLButtonElement} */ (el("join")).disabled = false;
  el("join").focus();
});

/** @param {string} path @param {object} [body] @param {boolean} [keepalive] */
async function post(path, body = {}, keepalive = false) {
  const headers = { "Content-Type": "application/json", ...(csrf ? { "X-CSRF-Token": csrf } : {}) };
  const given = new AbortController();
  const timer = setTimeout(() => given.abort(), HUNG_MS);
  const request = { method: "POST", headers, body: JSON.stringify(body), keepalive, signal: given.signal };
  try {
    return await fetch(`/api/v1/join${path}`, { ...request, cache: "no-store" });
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The seat is found again by the cookie alone, and with it the token that unsafe requests carry. Nothing is shown.
 * @returns {Promise<number>} the status
 */
async function renew() {
  const response = await post("");
  if (response.ok) {
    ({ csrf } = await response.json());
    if (call) call.csrf = csrf;
    attending.start();
  }
  return response.status;
}

/** Who has a seat can ask for help before the call is entered again. */
function early() {
  el("help-early").hidden = !csrf;
}

/** One press of a button, by which the server knows it again. `randomUUID` is missing from older phones. */
function onePress() {
  const bytes = Array.from(crypto.getRandomValues(new Uint8Array(16)));
  return { command_id: bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("") };
}

/** A network that comes back ends the wait. @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve(undefined);
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
  });
}

/** @param {"welcome"|"call"|"ended"} part */
function showOnly(part) {
  for (const id of ["welcome", "call", "ended"]) el(id).hidden = id !== part;
}

/** @param {string} text */
function trouble(text) {
  const known = el("trouble").textContent === text;
  el("trouble").textContent = text;
  el("trouble").hidden = !text;
  if (text && !known) el("trouble").focus();
}

/** The token is kept until the server has answered: the next try is good, even if it heard this one. */
async function join() {
  const mine = ++turn;
  const button = /** @type {HTMLButtonElement} */ (el("join"));
  button.disabled = true;
  try {
    const response = await post("", token ? { token } : {});
    const answer = await response.json();
    if (mine !== turn) return;
    if (!response.ok) {
      const nothing = !token && response.status === 401;
      trouble(nothing ? words.no_link : answer.reasons?.map((/** @type {{text: string}} */ one) => one.text).join(" "));
      return;
    }
    trouble("");
    ({ seat, csrf } = answer);
    ice = answer;
    wording = answer.wording ?? {};
    hear(answer);
    attending.start();
    token = "";
  } catch {
    if (mine !== turn) return;
    trouble(words.offline);
    pause(JOIN_AGAIN_MS).then(() => mine === turn && !exited && join());
    return;
  } finally {
    if (mine === turn) button.disabled = false;
  }
  if (told === "ended") return end();
  waiting ||= Date.now();
  setTimeout(show, LONG_MS);
  listen();
  await enter();
}

/** Camera and microphone, then the call: the picture is sent while waiting, so that nothing has to be pressed later. */
async function enter() {
  call?.leave();
  const mine = (call = new Call({ url: `/api/v1/media/${seat}`, csrf, ice, others: OTHERS }));
  tiles.clear();
  showOnly("call");
  el("retry").hidden = true;
  el("note").textContent = "";
  mine.addEventListener("localstream", (event) => {
    if (call !== mine) return;
    const { stream, video: hasVideo, audio } = /** @type {CustomEvent} */ (event).detail;
    video("self").srcObject = stream;
    check({ camera: hasVideo, microphone: audio });
  });
  mine.addEventListener("remotestream", (event) => {
    if (call !== mine) return;
    const { stream, at } = /** @type {CustomEvent} */ (event).detail;
    if (at) return tiles.stream(at, stream);
    video("remote").srcObject = stream;
    video("remote").play().catch(() => {});
  });
  mine.addEventListener("state", (event) => {
    if (call !== mine) return;
    const { state, code } = /** @type {CustomEvent} */ (event).detail;
    line = state;
    if (state === "failed") failed(code);
    if (state === "connected") setTimeout(measure, SETTLE_MS, mine);
    if (state === "reconnecting") check({ network: "none" });
    if (state !== "failed") show();
  });
  Object.assign(own, { picture: "video_480", microphone: "works", heard: true });
  for (const [type, name, key] of [["quality", "after", "picture"], ["microphone", "cause", "microphone"], ["other", "heard", "heard"]]) {
    mine.addEventListener(type, (event) => {
      if (call !== mine) return;
      Object.assign(own, { [key]: /** @type {CustomEvent} */ (event).detail[name] });
      show();
    });
  }
  mine.addEventListener("audioonly", (event) => {
    el("note").textContent = words.audioonly;
    check({ fault: /** @type {CustomEvent} */ (event).detail.code });
  });
  mine.addEventListener("deviceerror", (event) => {
    const { code } = /** @type {CustomEvent} */ (event).detail;
    el("note").textContent = words[code] ?? "";
    check({ fault: code });
  });
  show();
  el("call-title").focus();
  try {
    await mine.join();
  } catch (error) {
    if (call === mine) failed(/** @type {{code?: string}} */ (error).code ?? "failed");
  }
  mine.camera(!cameraOff);
  hush();
}

/**
 * What the server says of the call.
 * @param {{state?: string, picture?: string, microphone?: string, voice?: string, people?: import("./tiles.js").Sitting[],
 *   asks?: string[], recording?: boolean}} says
 */
function hear(says) {
  told = says.state ?? "waiting";
  inTheCall(says.people);
  other = { ...other, ...says };
  askFor(says.asks ?? [], Boolean(says.recording));
  hush();
}

/** While both talk on the phone, this page is silent both ways: nobody is heard twice. */
function hush() {
  const onPhone = other.voice === "phone";
  call?.mute(muted || onPhone);
  video("remote").muted = onPhone;
  tiles.mute(onPhone);
}

/**
 * What is known of camera, microphone and line goes to the officer, whenever it has changed.
 * @param {Partial<{camera: boolean, microphone: boolean, network: string, fault: string}>} news
 */
function check(news) {
  if (news.camera) news.fault = "";
  Object.assign(device, news);
  const found = JSON.stringify(device);
  if (found !== checked) post("/device", { ...device }).catch(() => {});
  checked = found;
}

/** How far away the video service is. @param {Call} mine */
async function measure(mine) {
  if (call !== mine || mine.state !== "connected") return;
  const { roundTripMs } = await mine.stats();
  if (roundTripMs !== null) check({ network: roundTripMs > SLOW_MS ? "slow" : "good" });
}

/** @param {string} action @param {string} guest */
async function answered(action, guest) {
  try {
    const { status } = await post(`/${action}`, { guest, ...onePress() });
    // 422: it is settled otherwise, and the feed says how.
    return status < 300 || status === 404 || status === 422;
  } catch {
    return false;
  }
}

/** Everybody in the call, by role. @param {import("./tiles.js").Sitting[]} [now] */
function inTheCall(now = []) {
  tiles.show(now);
  people.show(now);
  el("shown").textContent = mainWords(now, roles);
  here = now.some((one) => one.role === "officer" && one.state === "here");
}

/** @param {string} code */
function failed(code) {
  line = "failed";
  if (DEVICE_FAULTS.has(code)) check({ camera: false, microphone: false, fault: code });
  // Camera and microphone are not held for a call that another tab has.
  if (code === "taken-over") {
    const spent = call;
    call = null;
    spent?.leave();
    video("self").srcObject = video("remote").srcObject = null;
  }
  show();
  el("note").textContent = words[code] ?? words.failed;
  el("retry").hidden = false;
}

/** What this phone's own connection is told as; else it is what the server says. */
const LINE = { failed: "off", reconnecting: "reconnecting", joining: "joining", preview: "joining" };

function show() {
  const shown = LINE[/** @type {keyof typeof LINE} */ (line)] ?? told;
  const state = shown === "joining" && told !== "waiting" ? "joining" : shown === "joining" ? "waiting" : shown;
  if (el("state").textContent !== words[state]) el("state").textContent = words[state];
  el("say").textContent = words[`${state}_say${state === "waiting" ? waited() : ""}`] ?? "";
  const how = shown === told ? sentences() : "";
  if (el("line").textContent !== how) el("line").textContent = how;
  el("screen").dataset.state = told === "connected" ? "connected" : "waiting";
}

/** How the call gets through, in words: the most that matters first, and two sentences at most. */
function sentences() {
  const found = [
    other.voice === "phone" ? words.voice_phone : words[`mic_${own.microphone}`],
    words[`own_${own.picture}`],
    own.heard || told !== "connected" ? words[`other_${other.picture}`] : words.other_quiet,
  ];
  return found.filter(Boolean).slice(0, 2).join(" ");
}

/** What is said of the wait: whether the officer is there already, and that nobody is forgotten when it takes longer. */
function waited() {
  if (here) return "_here";
  return waiting && Date.now() - waiting > LONG_MS ? "_long" : "";
}

/** Her own feed: the state of the call in a word, and who is in it. It comes back by itself; a refused one ends it. */
function listen() {
  feed?.close();
  const mine = (feed = new EventSource("/api/v1/join/live"));
  mine.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type !== "state" || feed !== mine) return;
    hear(message);
    if (told === "ended") end();
    else show();
  };
  mine.onerror = () => {
    if (mine.readyState === EventSource.CLOSED) setTimeout(again, 2000, mine);
  };
}

/** After a refused feed the seat is asked for again: the session may be over. @param {EventSource} mine */
async function again(mine) {
  if (exited || feed !== mine) return;
  try {
    const status = await renew();
    if (feed !== mine) return;
    if (status === 401 || status === 404) end();
    else listen();
  } catch {
    setTimeout(again, 3000, mine);
  }
}

function end() {
  attending.stop();
  leave();
  told = "ended";
  askFor([], false);
  showOnly("ended");
  el("ended-title").focus();
}

/** Camera and microphone stop, the pictures go, the feed is closed. */
function leave() {
  call?.leave();
  call = null;
  feed?.close();
  feed = null;
  inTheCall();
  tiles.clear();
  for (const id of ["self", "remote"]) video(id).srcObject = null;
}

/** Camera and microphone first, then the word to the server, then away: in this order, and without waiting. */
function exit(/** @type {Event} */ event) {
  event.preventDefault();
  event.stopImmediatePropagation();
  exited = true;
  try {
    attending.stop();
    leave();
    document.documentElement.hidden = true;
    document.title = "";
    lastWords();
    post("/exit", onePress(), true).catch(() => {});
  } finally {
    location.replace(EXIT_TO);
  }
}

/** Help is asked for until the server has heard it, for as long as the page lives; the screen stays as it is. */
async function help() {
  const press = onePress();
  unheard.add(press);
  for (let tries = 0; told !== "ended"; tries += 1) {
    const status = await ask(press);
    if ((status >= 200 && status < 300) || status === 404 || status === 422) break;
    await pause(BACKOFF_MS[Math.min(tries, BACKOFF_MS.length - 1)]);
  }
  unheard.delete(press);
}

/**
 * @param {{command_id: string}} press
 * @returns {Promise<number>} the status; 0 for no answer
 */
async function ask(press) {
  try {
    const { status } = await post("/unsafe", press, true);
    const stale = status === 401 || status === 403;
    return stale && (await renew()) === 200 ? (await post("/unsafe", press, true)).status : status;
  } catch {
    return 0;
  }
}

/** A page that goes away says once more what was not heard; the server knows the same press again. */
function lastWords() {
  for (const press of unheard) post("/unsafe", press, true).catch(() => {});
}

/**
 * One question at a time, as the server has it; and whether the call is being recorded, for as long as it is.
 * @param {string[]} kinds @param {boolean} recording
 */
function askFor(kinds, recording) {
  const kind = kinds.find((one) => wording[one]) ?? "";
  const fresh = kind && kind !== asked;
  asked = kind;
  el("consent").hidden = !kind;
  if (fresh) {
    el("consent-text").textContent = wording[kind];
    el("consent").focus();
  }
  if (recorded && !recording && told !== "ended") el("note").textContent = words.rec_stopped;
  if (!recorded && recording) el("note").textContent = "";
  recorded = recording;
  el("rec").hidden = !recording;
}

/**
 * The answer is shown when the server has it: until then the question stays, so that nobody thinks it was heard.
 * @param {string} kind @param {"given"|"refused"|"withdrawn"} answer
 */
async function reply(kind, answer) {
  const body = { kind, answer, ...onePress() };
  for (let tries = 0; told !== "ended"; tries += 1) {
    try {
      const { ok, status } = await post("/consent", body, true);
      if (ok) return;
      if (status === 422 || status === 404) break;
      if (status === 401 || status === 403) await renew();
    } catch {
      el("note").textContent = words.offline;
    }
    await pause(BACKOFF_MS[Math.min(tries, BACKOFF_MS.length - 1)]);
  }
  if (told !== "ended") el("note").textContent = words.answer_again;
}

function switchMute() {
  muted = !muted;
  hush();
  el("mute").textContent = muted ? words.unmute : words.mute;
  el("mute").setAttribute("aria-pressed", String(muted));
}

function switchCamera() {
  call?.camera(!(cameraOff = !cameraOff));
  el("camera").textContent = cameraOff ? words.camera_on : words.camera_off;
  el("camera").setAttribute("aria-pressed", String(cameraOff));
}

el("exit").addEventListener("click", exit, { capture: true });
el("join").addEventListener("click", () => {
  trouble("");
  join();
});
el("retry").addEventListener("click", enter);
el("consent-yes").addEventListener("click", () => reply(asked, "given"));
el("consent-no").addEventListener("click", () => reply(asked, "refused"));
el("rec-stop").addEventListener("click", () => reply("recording", "withdrawn"));
el("mute").addEventListener("click", switchMute);
el("camera").addEventListener("click", switchCamera);
for (const id of ["help", "help-early"]) el(id).addEventListener("click", help);
addEventListener("pagehide", lastWords);
addEventListener("pageshow", (event) => {
  if (event.persisted && exited) location.replace(EXIT_TO);
});
