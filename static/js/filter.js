/**
 * <rvr-filter data-for>: of the last table of a board only the rows in which every typed word occurs. What waits to be
 * accepted or decided stands in the tables before it and is never hidden. The rows are hidden by a rule of a style
 * sheet, so that a board which is swapped under it needs no second pass.
 */

const words = JSON.parse(document.body.dataset.words || "{}");

class Filter extends HTMLElement {
  #sheet = new CSSStyleSheet();
  /** @type {HTMLElement|null} */ #board = null;

  connectedCallback() {
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, this.#sheet];
    this.#board = document.getElementById(this.dataset.for ?? "");
    this.#board?.addEventListener("fragment", () => this.#count());
    this.addEventListener("input", () => this.#apply());
    this.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.#input) return;
      this.#input.value = "";
      this.#apply();
    });
    this.#apply();
  }

  get #input() {
    return this.querySelector("input");
  }

  get #wanted() {
    return (this.#input?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  }

  #apply() {
    const hidden = this.#wanted.map((word) => `tr[data-find]:not([data-find*="${CSS.escape(word)}"])`);
    this.#sheet.replaceSync(hidden.length ? `#${this.#board?.id} :is(${hidden.join(", ")}) { display: none }` : "");
    this.#count();
  }

  #count() {
    const found = this.querySelector("[role=status]");
    const rows = [...(this.#board?.querySelectorAll("tr[data-find]") ?? [])];
    const shown = rows.filter((row) => this.#wanted.every((word) => row.getAttribute("data-find")?.includes(word)));
    const text = this.#wanted.length
      ? words.found.replace("{shown}", String(shown.length)).replace("{all}", String(rows.length))
      : "";
    if (found && found.textContent !== text) found.textContent = text;
  }
}

customElements.define("rvr-filter", Filter);
