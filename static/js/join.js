/**
 * The victim's page. One address for the whole way; nothing is stored in the browser but the join cookie; leaving by
 * the exit stops camera and microphone first and cannot be undone by "Back". No key leaves the page: on phones the
 * Shift key is pressed by typing.
 */

import { Call } from "./call.js";

const EXIT_TO = /** @type {HTMLAnchorElement} */ (document.getElementById("exit")).href;
const words = JSON.parse(document.body.dataset.words || "{}");

/** @param {string} id @returns {HTMLElement} */
const el = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id @returns {HTMLVideoElement} */
const video = (id) => /** @type {HTMLVideoElement} */ (document.getElementById(id));

/** @type {Call|null} */
let call = null;
let csrf = "";
let seat = "";
/** @type {object[]} */
let iceServers = [];
/** What the server says of the call: waiting, connected, interrupted, ended. */
let told = "waiting";
/** What this phone's own connection does. */
let line = "idle";
let exited = false;
let muted = false;
let cameraOff = false;
let checked = "";

// The token leaves the address at once, so that nobody reads it there later.
let token = location.hash.slice(1);
if (token) history.replaceState(null, "", location.pathname);
addEventListener("hashchange", () => {
  token = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  if (!call) showOnly("welcome");
});

/** @param {string} path @param {object} [body] @param {boolean} [keepalive] */
function post(path, body = {}, keepalive = false) {
  const headers = { "Content-Type": "application/json", ...(csrf ? { "X-CSRF-Token": csrf } : {}) };
  return fetch(`/api/v1/join${path}`, { method: "POST", headers, body: JSON.stringify(body), keepalive, cache: "no-store" });
}

/** @param {"welcome"|"call"|"ended"} part */
function showOnly(part) {
  for (const id of ["welcome", "call", "ended"]) el(id).hidden = id !== part;
}

/** @param {string} text */
function trouble(text) {
  el("trouble").textContent = text;
  el("trouble").hidden = !text;
  if (text) el("trouble").focus();
}

async function join() {
  /** @type {HTMLButtonElement} */ (el("join")).disabled = true;
  trouble("");
  try {
    const response = await post("", token ? { token } : {});
    const answer = await response.json();
    if (!response.ok) {
      const nothing = !token && response.status === 401;
      trouble(nothing ? words.no_link : answer.reasons?.map((/** @type {{text: string}} */ one) => one.text).join(" "));
      return;
    }
    ({ seat, csrf } = answer);
    iceServers = answer.ice_servers ?? [];
    told = answer.state ?? "waiting";
    token = "";
    if (told === "ended") return end();
    listen();
    await enter();
  } catch {
    trouble(words.offline);
  } finally {
    /** @type {HTMLButtonElement} */ (el("join")).disabled = false;
  }
}

/** Camera and microphone, then the call: the picture is sent while waiting, so that nothing has to be pressed later. */
async function enter() {
  call?.leave();
  const mine = (call = new Call({ url: `/api/v1/media/${seat}`, csrf, iceServers }));
  showOnly("call");
  el("retry").hidden = true;
  el("note").textContent = "";
  mine.addEventListener("localstream", (event) => {
    const { stream, video: hasVideo, audio } = /** @type {CustomEvent} */ (event).detail;
    video("self").srcObject = stream;
    const found = `${hasVideo}${audio}`;
    if (found !== checked) post("/device", { camera: hasVideo, microphone: audio }).catch(() => {});
    checked = found;
  });
  mine.addEventListener("remotestream", (event) => {
    video("remote").srcObject = /** @type {CustomEvent} */ (event).detail.stream;
    video("remote").play().catch(() => {});
  });
  mine.addEventListener("state", (event) => {
    if (call !== mine) return;
    const { state, code } = /** @type {CustomEvent} */ (event).detail;
    line = state;
    if (state === "failed") failed(code);
    show();
  });
  mine.addEventListener("audioonly", () => (el("note").textContent = words.audioonly));
  mine.addEventListener("deviceerror", (event) => {
    el("note").textContent = words[/** @type {CustomEvent} */ (event).detail.code] ?? "";
  });
  show();
  el("call-title").focus();
  try {
    await mine.join();
  } catch (error) {
    if (call === mine) failed(/** @type {{code?: string}} */ (error).code ?? "failed");
  }
  mine.mute(muted);
  mine.camera(!cameraOff);
}

/** @param {string} code */
function failed(code) {
  el("note").textContent = words[code] ?? words.failed;
  el("retry").hidden = false;
}

function show() {
  const shown = line === "reconnecting" ? "reconnecting" : line === "joining" || line === "preview" ? "joining" : told;
  const state = shown === "joining" && told !== "waiting" ? "joining" : shown === "joining" ? "waiting" : shown;
  if (el("state").textContent !== words[state]) el("state").textContent = words[state];
  el("say").textContent = words[`${state}_say`] ?? "";
  el("screen").dataset.state = told === "connected" ? "connected" : "waiting";
}

/** Her own feed: one word about the call. It comes back by itself; a refused one ends it. */
function listen() {
  const feed = new EventSource("/api/v1/join/live");
  feed.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type !== "state") return;
    told = message.state;
    if (told === "ended") {
      feed.close();
      end();
    } else show();
  };
  feed.onerror = () => {
    if (feed.readyState !== EventSource.CLOSED || exited) return;
    setTimeout(again, 2000);
  };
}

/** After a refused feed the seat is asked for again: a new link, or the end of the session, may be the reason. */
async function again() {
  if (exited || told === "ended") return;
  try {
    const response = await post("");
    if (response.status === 401 || response.status === 404) return end();
    listen();
  } catch {
    setTimeout(again, 3000);
  }
}

function end() {
  told = "ended";
  call?.leave();
  call = null;
  showOnly("ended");
  el("ended-title").focus();
}

/** Camera and microphone first, then the word to the server, then away: in this order, and without waiting. */
function exit(/** @type {Event} */ event) {
  event.preventDefault();
  event.stopImmediatePropagation();
  exited = true;
  call?.leave();
  for (const id of ["self", "remote"]) video(id).srcObject = null;
  document.documentElement.hidden = true;
  document.title = "";
  if (csrf) post("/exit", {}, true).catch(() => {});
  location.replace(EXIT_TO);
}

/** Help is asked for until the server has heard it; the screen stays as it is. */
async function help() {
  for (const wait of [0, 1000, 2000, 4000, 8000]) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    const response = await post("/unsafe", {}, true).catch(() => null);
    if (response && response.status < 500) return;
  }
}

function switchMute() {
  call?.mute((muted = !muted));
  el("mute").textContent = muted ? words.unmute : words.mute;
  el("mute").setAttribute("aria-pressed", String(muted));
}

function switchCamera() {
  call?.camera(!(cameraOff = !cameraOff));
  el("camera").textContent = cameraOff ? words.camera_on : words.camera_off;
  el("camera").setAttribute("aria-pressed", String(cameraOff));
}

el("exit").addEventListener("click", exit, { capture: true });
el("join").addEventListener("click", join);
el("retry").addEventListener("click", enter);
el("mute").addEventListener("click", switchMute);
el("camera").addEventListener("click", switchCamera);
el("help").addEventListener("click", help);
addEventListener("pageshow", (event) => {
  if (event.persisted && exited) location.replace(EXIT_TO);
});
