// Registers a passkey, signs in by one, or proves with one who is signed in: asks the desk what to ask the device for,
// and sends back what the device answered. The desk decides.

class Passkey extends HTMLElement {
  connectedCallback() {
    if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) return; // the password stays
    this.words = JSON.parse(this.dataset.words);
    this.hidden = false;
    this.querySelector("button").addEventListener("click", () => this.press());
  }

  async press() {
    const said = this.querySelector('[data-part="said"]');
    said.textContent = "";
    try {
      await (this.dataset.does === "register" ? this.register() : this.use());
    } catch (error) {
      if (error instanceof Refused && error.code === "confirm-first") {
        location.assign(`/confirm?to=${encodeURIComponent(location.pathname)}`);
        return;
      }
      said.textContent = error instanceof Refused ? error.message : this.words.not_used;
    }
  }

  async register() {
    const options = await ask("/api/v1/passkeys/options", {});
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(await options.json());
    const credential = await navigator.credentials.create({ publicKey });
    const name = this.querySelector("input").value;
    await ask("/api/v1/passkeys", { name, credential: credential.toJSON() });
    location.reload();
  }

  async use() {
    const options = await ask("/api/v1/session/passkey/options", {});
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await options.json());
    const credential = await navigator.credentials.get({ publicKey });
    await ask("/api/v1/session/passkey", { credential: credential.toJSON() });
    location.assign(this.dataset.to || "/");
  }
}

class Refused extends Error {
  constructor(problem) {
    super(problem.reasons.map((reason) => reason.text).join(" "));
    this.code = problem.reasons[0]?.code;
  }
}

async function ask(path, body) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": document.body.dataset.csrf };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Refused(await answer.json());
  return answer;
}

customElements.define("rvr-passkey", Passkey);
