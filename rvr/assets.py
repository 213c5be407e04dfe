"""Reshapes the fetched front-end packages into static/vendor/, the only third-party files a browser is ever sent.

The GOV.UK styles may be used by a police service, the marks of GOV.UK may not: the transform takes out the font
GDS Transport, the crest and every rule about a crown, and leaves a plain Arial stack that a force can change.
It fetches nothing (run.py does, with npm) and uses the standard library alone.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

STATIC = Path(__file__).resolve().parent.parent / "static"

GOVUK = Path("govuk-frontend/dist/govuk")
MOJ = Path("@ministryofjustice/frontend/moj")
HTMX = Path("htmx.org/dist")

SCRIPTS = {
    "govuk-frontend.js": GOVUK / "govuk-frontend.min.js",
    "htmx.js": HTMX / "htmx.min.js",
    "hx-sse.js": HTMX / "ext/hx-sse.min.js",
}
STYLES = {
    "govuk-frontend.css": GOVUK / "govuk-frontend.min.css",
    "moj.css": MOJ / "moj-frontend.min.css",
}

FONT = "var(--rvr-font, Arial, Helvetica, sans-serif)"
FORBIDDEN = re.compile(r"gds|font-face|crest|crown", re.IGNORECASE)

# Both packages are MIT but ship without a licence file, which the licence asks for in every copy; the holders are
# those named in their repositories.
MIT_HOLDERS = {
    "govuk-frontend.txt": "Copyright (C) 2017 Crown Copyright (Government Digital Service)",
    "moj-frontend.txt": "Copyright (c) 2021 dxw",
}
SHIPPED_LICENCES = {"htmx.txt": Path("htmx.org/LICENSE")}

MIT = """\
MIT License

{holder}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


class AssetsError(Exception):
    """The packages are missing, or no longer look as the transform expects: one sentence for the person at the keys."""


# --- the transform (pure) ---

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE = re.compile(r"([^{};]*)\{([^{}]*)\}")
_EMPTY_AT_RULE = re.compile(r"@(?:media|supports)[^{};]*\{\}")
_FAMILY = re.compile(r"GDS Transport\s*,\s*arial\s*,\s*sans-serif", re.IGNORECASE)
_IMAGE = re.compile(r"url\(/assets/images/([\w.-]+)\)")
_JS_SOURCE_MAP = re.compile(r"\n?//# sourceMappingURL=\S+\s*\Z")


def transform_css(css: str) -> str:
    """The stylesheet without comments, fonts and marks; raises AssetsError if any mark is left."""
    css = _COMMENT.sub("", css)
    css = _RULE.sub(_keep_or_drop, css)
    css = _EMPTY_AT_RULE.sub("", css)
    css = _FAMILY.sub(FONT, css)
    # Relative to the stylesheet, so that it also works behind a path prefix and with a hash in the URL.
    css = _IMAGE.sub(r"url(images/\1)", css)
    left = FORBIDDEN.search(css)
    if left:
        around = css[max(0, left.start() - 40) : left.end() + 40]
        raise AssetsError(f"a mark that may not be used is left in the stylesheet: ...{around}...")
    return css.strip() + "\n"


def _keep_or_drop(rule: re.Match[str]) -> str:
    selectors, body = rule.group(1), rule.group(2)
    if selectors.lstrip().startswith("@font-face") or re.search("crest", body, re.IGNORECASE):
        return ""
    if not FORBIDDEN.search(selectors):
        return rule.group(0)
    kept = [one for one in selectors.split(",") if not FORBIDDEN.search(one)]
    return f"{','.join(kept)}{{{body}}}" if kept else ""


def transform_js(script: str) -> str:
    """The script without its source-map comment: the map is not served, and asking for it would be a 404 each time."""
    return _JS_SOURCE_MAP.sub("", script).rstrip() + "\n"


def images_of(css: str) -> set[str]:
    """Names of the image files that a transformed stylesheet asks for."""
    return set(re.findall(r"url\(images/([\w.-]+)\)", css))


# --- files ---


def build(static: Path = STATIC) -> Path:
    """Makes static/vendor/ from static/node_modules/, and returns it; the old one stays until the new is whole."""
    modules = static / "node_modules"
    if not modules.is_dir():
        raise AssetsError("the front-end packages are missing: start once with `python3 run.py`, which fetches them")
    for leftover in static.glob(".vendor-*"):  # of a build that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix=".vendor-", dir=static))
    try:
        _write_all(modules, fresh)
        fresh.chmod(0o755)  # mkdtemp gives 0700, and a web server in front may run as somebody else
        _swap(fresh, static / "vendor")
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return static / "vendor"


def _write_all(modules: Path, out: Path) -> None:
    for name, source in SCRIPTS.items():
        _write(out / name, transform_js(_read(modules / source)))
    images: set[str] = set()
    for name, source in STYLES.items():
        css = transform_css(_read(modules / source))
        images |= images_of(css)
        _write(out / name, css)
    for name in sorted(images):
        _write(out / "images" / name, _read(modules / MOJ / "assets/images" / name))
    for name, holder in MIT_HOLDERS.items():
        _write(out / "LICENSES" / name, MIT.format(holder=holder))
    for name, source in SHIPPED_LICENCES.items():
        _write(out / "LICENSES" / name, _read(modules / source))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AssetsError(f"{path} is missing: delete static/node_modules and start `python3 run.py` again") from None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    # Bytes, so that no platform turns line ends around: the same hash everywhere.
    path.write_bytes(text.encode())


def _swap(fresh: Path, vendor: Path) -> None:
    """A folder cannot be replaced by a rename while it has files, so the old one steps aside first."""
    old = fresh.with_name(fresh.name + "-old")
    if vendor.exists():
        vendor.rename(old)
    fresh.rename(vendor)
    shutil.rmtree(old, ignore_errors=True)


def main() -> int:
    try:
        build()
    except (AssetsError, OSError) as fault:
        sys.stderr.write(f"rvr.assets: {fault}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
