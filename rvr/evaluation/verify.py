"""Checks an evaluator's data package with Python 3.10 alone: python3 -I verify.py [FOLDER|FILE.zip [KEY]]

KEY is the public key of the force's log, as `run.py verify` prints it there: without it the package vouches for itself.
Whoever doubts this file takes it from the source of RVR: rvr/evaluation/verify.py. It changes nothing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

SAME = {name: name for name in ("type", "recorded_at", "by_role", "state")}
SAME |= {"at": "observed_at", "workflow_version": "definition"}  # column of events.csv: its name in the event
SIGNED = "No fault. Proven: every file is as it was when the package was signed, and so is the head of the log."
PROVEN = "Proven: each row of data/events.csv is in that log, with its type, times, role, state and workflow."
UNPROVEN = "Not proven: that the rows of data/events.csv are in that log (there are no proofs/)."
NEVER = "Not proven: that what was typed is true; that no case was left out; which case a proven row belongs to."
YOURS, WHOSE = "The key is the one you gave.", "Not proven: whose key it is. Compare the first line of checkpoint.txt."

# --- Ed25519 (RFC 8032, 5.1): a point is (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int, int, int]


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def add(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n: int, p: Point) -> Point:
    q = (0, 1, 1, 0)
    while n:
        q, p, n = (add(q, p) if n & 1 else q), add(p, p), n >> 1
    return q


def point(encoded: bytes) -> Point:
    y, sign = int.from_bytes(encoded, "little") & (1 << 255) - 1, encoded[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("no point")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed(public: bytes, message: bytes, signature: bytes) -> bool:
    s = int.from_bytes(signature[32:], "little")
    if len(public) != 32 or len(signature) != 64 or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    p, q = times(s, BASE), add(point(signature[:32]), times(k, point(public)))
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 == (p[1] * q[2] - q[1] * p[2]) % P


def vouched(text: str, line: str, key: str) -> bool:
    """Whether this is the key's signature line for the text (C2SP signed-note), spelt in the one way."""
    try:
        name, told, encoded = key.split("+", 2)
        public, signature = b64decode(encoded), b64decode(line.rpartition(" ")[2])[4:]
        known = sha256(name.encode(), b"\n", public)[:4]
        same = (public[:1], told, line) == (b"\x01", known.hex(), f"— {name} {b64encode(known + signature).decode()}\n")
        return same and signed(public[1:], text.encode(), signature)
    except ValueError:
        return False


def root_over(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Where the path leads (RFC 6962, 2.1.1), its last step at the top; nowhere for a path of another length."""
    if size == 1 or not path:
        return leaf if size == 1 and not path else b""
    half, step, rest = 1 << (size - 1).bit_length() - 1, path[-1], path[:-1]
    if index < half:
        return sha256(b"\x01", root_over(leaf, index, half, rest), step)
    return sha256(b"\x01", step, root_over(leaf, index - half, size - half, rest))


def unproven(rows: list[dict[str, str]], lines: list[str], size: int, root: bytes) -> Iterator[str]:
    if len(rows) != len(lines):
        yield f"proofs/rows.jsonl: {len(lines)} proofs for {len(rows)} rows"
    seen = set()
    for row, proof in zip(rows, map(json.loads, lines), strict=False):
        index, public, where = proof["index"], json.loads(proof["public"]), f"{row['case']}, version {row['version']}"
        header, salt, seal, *path = map(bytes.fromhex, (proof["header"], proof["salt2"], proof["seal"], *proof["path"]))
        event = sha256(b"\x13", header, sha256(b"\x11", salt, proof["public"].encode()), seal)
        if not 0 <= index < size or root_over(sha256(b"\x00", event), index, size, path) != root:
            yield f"proofs/rows.jsonl: {where}: is not in the signed log"
        if index in seen or any(row[column] != public[name] for column, name in SAME.items()):
            yield f"data/events.csv: {where}: the event in the log is another"
        seen.add(index)


def faults(names: list[str], read: Callable[[str], bytes], key: str) -> Iterator[str]:
    manifest, (own, _, note) = read("MANIFEST.sha256").decode(), read("checkpoint.txt").decode().partition("\n\n")
    listed = {line[66:]: line[:64] for line in manifest.split("\n")[:-1]}
    for name in sorted({*names, *listed} - {"MANIFEST.sha256", "MANIFEST.sig"}):
        if name not in names or listed.get(name) != sha256(read(name)).hex():
            yield f"{name}: missing, changed, or not in MANIFEST.sha256"
    if key not in ("", own):
        yield f"checkpoint.txt: signed with another key, {own}"
    if not vouched(manifest, read("MANIFEST.sig").decode(), own):
        yield "MANIFEST.sig: not the signature of MANIFEST.sha256"
    text, _, lines = note.partition("\n\n")
    origin, size, root = text.split("\n")
    if origin != own.split("+")[0] or not any(vouched(text + "\n", f"{one}\n", own) for one in lines.split("\n")):
        yield "checkpoint.txt: the head of the log is not signed"
    if "proofs/rows.jsonl" in names:
        rows = list(csv.DictReader(io.StringIO(read("data/events.csv").decode(), newline="")))
        yield from unproven(rows, read("proofs/rows.jsonl").decode().split("\n")[:-1], int(size), b64decode(root))


def main(path: Path, key: str = "") -> int:
    """Says every fault, or what was proven; 1 or 0."""
    found, names = list[str](), list[str]()
    try:
        archive = None if path.is_dir() else zipfile.ZipFile(path)
        paths = (one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file())
        names = archive.namelist() if archive else list(paths)
        found += faults(names, archive.read if archive else lambda name: (path / name).read_bytes(), key)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        found.append(f"{path}: not a whole package: {error!r}")
    told = [SIGNED, PROVEN if "proofs/rows.jsonl" in names else UNPROVEN, NEVER, YOURS if key else WHOSE]
    sys.stdout.write("\n".join(found or told) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent, *sys.argv[2:3]))
