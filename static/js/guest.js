/**
 * A guest's page: the name and a promise, then the call as far as the victim has let the guest in. It knows nothing of
 * the case, keeps nothing but the join cookie, and says in one word how the guest stands.
 */

import { LinkPage } from "./link-page.js";
import { button, el, say, showOnly, trouble } from "./parts.js";

/** @typedef {import("./link-page.js").Told} Told */

/** @param {string} id @returns {HTMLInputElement} */
const field = (id) => /** @type {HTMLInputElement} */ (el(id));

class GuestPage extends LinkPage {
  #checked = "";

  constructor() {
    super("/api/v1/guest");
    button("join").addEventListener("click", () => {
      trouble();
      this.join();
    });
    el("leave").onclick = () => this.#goAway();
  }

  hello() {
    return { name: field("name").value.trim(), declared: field("declared").checked };
  }

  /** Who has a seat already is not asked for a name again. */
  seated() {
    el("who").hidden = true;
    say("join", this.words.rejoin);
  }

  /** @param {Told} told */
  hear(told) {
    const state = told.state === "here" || told.state === "away" ? "admitted" : told.state;
    super.hear({ ...told, state });
    if (told.role) say("role", this.roles[told.role] ?? told.role);
    el("rec").hidden = !told.recording;
    el("people").replaceChildren(...told.people.map((one) => this.#line(one)));
  }

  /** @param {import("./tiles.js").Sitting} one */
  #line(one) {
    const item = document.createElement("li");
    const own = one.at === null; // how the own seat stands is said above
    const said = [this.roles[one.role] ?? one.role, this.roles[one.state]].filter(Boolean).join(", ");
    item.textContent = own ? this.roles.you : said;
    return item;
  }

  /** @param {import("./call.js").Call} call */
  follow(call) {
    call.on("localstream", ({ video: camera, audio: microphone }) => {
      const found = `${camera}${microphone}`;
      if (found !== this.#checked) this.desk.post("/device", { camera, microphone }).catch(() => {});
      this.#checked = found;
    });
  }

  show() {
    const state = { failed: "off", reconnecting: "reconnecting" }[this.line] ?? this.told.state;
    say("state", this.words[state]);
    say("say", this.words[`${state}_say`]);
    const admitted = this.told.state === "admitted";
    el("screen").dataset.state = admitted ? "connected" : "waiting";
    this.tiles.hide(!admitted);
  }

  /** The seat is kept: the same page leads back while the call lasts. */
  #goAway() {
    this.leave();
    showOnly("welcome");
    button("join").focus();
  }
}

new GuestPage();
