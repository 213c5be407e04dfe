/**
 * A guest's page: the name and a promise, then the call as far as the victim has let the guest in. It knows nothing of
 * the case, keeps nothing but the join cookie, and says in one word how the guest stands.
 */

import { Call } from "./call.js";
import { mainWords, OTHERS, Tiles } from "./tiles.js";

/** @typedef {import("./tiles.js").Sitting} Sitting */

const words = JSON.parse(document.body.dataset.words || "{}");
const roles = JSON.parse(document.body.dataset.people || "{}");
const AGAIN_MS = 3000;
const HUNG_MS = 8000;

/** @param {string} id @returns {HTMLElement} */
const el = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id @returns {HTMLVideoElement} */
const video = (id) => /** @type {HTMLVideoElement} */ (document.getElementById(id));
/** @param {string} id @returns {HTMLInputElement} */
const field = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));

const tiles = new Tiles(el("tiles"), roles);
/** What arrives, by place; shown while the guest is let in. @type {Map<number, MediaStream>} */
const arriving = new Map();

/** @type {Call|null} */
let call = null;
/** @type {EventSource|null} */
let feed = null;
let csrf = "";
let seat = "";
/** @type {import("./signalling.js").Ice|undefined} */
let ice;
/** asked, admitted, held, ended. */
let told = "asked";
let line = "idle";
let checked = "";
let muted = false;
let cameraOff = false;

let token = location.hash.slice(1);
if (token) history.replaceState(null, "", location.pathname);

/** @param {string} path @param {object} [body] */
async function post(path, body = {}) {
  const headers = { "Content-Type": "application/json", ...(csrf ? { "X-CSRF-Token": csrf } : {}) };
  const request = { method: "POST", headers, body: JSON.stringify(body), signal: AbortSignal.timeout(HUNG_MS) };
  return fetch(`/api/v1/guest${path}`, { ...request, cache: "no-store" });
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
  const button = /** @type {HTMLButtonElement} */ (el("join"));
  button.disabled = true;
  try {
    const body = token ? { token, name: field("name").value.trim(), declared: field("declared").checked } : {};
    const response = await post("", body);
    const answer = await response.json();
    if (!response.ok) {
      const nothing = !token && response.status === 401;
      const reasons = answer.reasons?.map((/** @type {{text: string}} */ one) => one.text) ?? [];
      return trouble(nothing ? words.no_link : reasons.join(" "));
    }
    trouble("");
    token = "";
    ({ seat, csrf } = answer);
    ice = answer;
    hear(answer);
  } catch {
    return trouble(words.offline);
  } finally {
    button.disabled = false;
  }
  if (told === "ended") return end();
  listen();
  await enter();
}

async function enter() {
  call?.leave();
  tiles.clear();
  arriving.clear();
  const mine = (call = new Call({ url: `/api/v1/media/${seat}`, csrf, ice, others: OTHERS }));
  showOnly("call");
  el("retry").hidden = true;
  el("note").textContent = "";
  mine.addEventListener("localstream", (event) => {
    if (call !== mine) return;
    const { stream, video: camera, audio: microphone } = /** @type {CustomEvent} */ (event).detail;
    video("self").srcObject = stream;
    const found = `${camera}${microphone}`;
    if (found !== checked) post("/device", { camera, microphone }).catch(() => {});
    checked = found;
  });
  mine.addEventListener("remotestream", (event) => {
    if (call !== mine) return;
    const { stream, at } = /** @type {CustomEvent} */ (event).detail;
    arriving.set(at, stream);
    picture();
  });
  mine.addEventListener("state", (event) => {
    if (call !== mine) return;
    const { state, code } = /** @type {CustomEvent} */ (event).detail;
    line = state;
    if (state === "failed") failed(code);
    show();
  });
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

/** @param {{state: string, role?: string, recording?: boolean, people: Sitting[]}} message */
function hear(message) {
  told = message.state === "here" || message.state === "away" ? "admitted" : message.state;
  if (message.role) el("role").textContent = roles[message.role] ?? message.role;
  el("rec").hidden = !message.recording;
  tiles.show(message.people);
  el("shown").textContent = mainWords(message.people, roles);
  el("people").replaceChildren(
    ...message.people.map((one) => {
      const item = document.createElement("li");
      const own = one.at === null; // how the own seat stands is said above
      item.textContent = own ? roles.you : [roles[one.role] ?? one.role, roles[one.state]].filter(Boolean).join(", ");
      return item;
    }),
  );
}

function show() {
  const state = line === "reconnecting" ? "reconnecting" : told;
  if (el("state").textContent !== words[state]) el("state").textContent = words[state] ?? "";
  el("say").textContent = words[`${state}_say`] ?? "";
  el("screen").dataset.state = told === "admitted" ? "connected" : "waiting";
  picture();
}

/** A picture that stands still is taken down: on hold nothing is seen. */
function picture() {
  const shown = told === "admitted";
  const main = shown ? arriving.get(0) ?? null : null;
  if (video("remote").srcObject !== main) video("remote").srcObject = main;
  if (main) video("remote").play().catch(() => {});
  if (!shown) return tiles.clear();
  for (const [at, stream] of arriving) if (at) tiles.stream(at, stream);
}

function listen() {
  feed?.close();
  const mine = (feed = new EventSource("/api/v1/guest/live"));
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

/** @param {EventSource} mine */
async function again(mine) {
  if (feed !== mine) return;
  try {
    const response = await post("");
    if (feed !== mine) return;
    if (!response.ok) return end();
    ({ csrf } = await response.json());
    if (call) call.csrf = csrf;
    listen();
  } catch {
    setTimeout(again, AGAIN_MS, mine);
  }
}

function end() {
  leave();
  told = "ended";
  showOnly("ended");
  el("ended-title").focus();
}

function leave() {
  call?.leave();
  call = null;
  feed?.close();
  feed = null;
  arriving.clear();
  tiles.clear();
  for (const id of ["self", "remote"]) video(id).srcObject = null;
}

/** The seat is kept: the same page leads back while the call lasts. */
function goAway() {
  leave();
  showOnly("welcome");
  el("who").hidden = true;
  el("join").textContent = words.rejoin;
  el("join").focus();
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

el("join").addEventListener("click", () => {
  trouble("");
  join();
});
el("retry").addEventListener("click", enter);
el("mute").addEventListener("click", switchMute);
el("camera").addEventListener("click", switchCamera);
el("leave").addEventListener("click", goAway);

/** Who has a seat already is not asked for a name again. */
if (!token) {
  post("").then(async (response) => {
    if (!response.ok) return;
    ({ csrf } = await response.json());
    el("who").hidden = true;
    el("join").textContent = words.rejoin;
  }, () => {});
}
