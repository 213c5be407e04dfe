/**
 * Another language for a page that stays where it is: the same page is asked for in it, and its words take the place of
 * those that stand here. Buttons that say by now something else than at the beginning say it after the next press.
 */

/**
 * @param {string} language
 * @returns {Promise<DOMStringMap|null>} the sentences for the scripts; null: it cannot be had now
 */
export async function speak(language) {
  const page = await fetch(location.pathname, { headers: { "Accept-Language": language }, cache: "no-store" })
    .then((response) => (response.ok ? response.text() : ""))
    .catch(() => "");
  if (!page) return null;
  const other = new DOMParser().parseFromString(page, "text/html");
  each("data-t", other, (here, there) => (here.textContent = there.textContent));
  each("data-label", other, (here, there) => here.setAttribute("aria-label", there.getAttribute("aria-label") ?? ""));
  const { lang, dir } = other.documentElement;
  Object.assign(document.documentElement, { lang, dir });
  for (const one of document.querySelectorAll("[data-language]")) {
    if (one.getAttribute("data-language") === lang) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
  }
  return other.body.dataset;
}

/** @param {string} name @param {Document} other @param {(here: Element, there: Element) => void} take */
function each(name, other, take) {
  for (const here of document.querySelectorAll(`[${name}]`)) {
    const there = other.querySelector(`[${name}="${here.getAttribute(name)}"]`);
    if (there) take(here, there);
  }
}
