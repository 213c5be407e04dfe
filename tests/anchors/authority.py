"""A time-stamp authority: `openssl ts` with a CA that was made for it, behind a small HTTP server."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

_CONFIG = """
[tsa]
default_tsa = here
[here]
dir = .
serial = ./serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
[req]
distinguished_name = name
prompt = no
[name]
CN = unused
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[stamping]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[serving]
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost,IP:127.0.0.1
"""


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def certify(folder: Path, name: str, kind: str) -> None:
    """NAME.key and NAME.pem, under ca.pem; the CA itself where the kind is root."""
    _openssl(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{name}.key")
    common = ("-key", f"{name}.key", "-subj", f"/O=Example/CN={name}", "-config", "ts.cnf")
    if kind == "root":
        _openssl(folder, "req", "-x509", *common, "-days", "30", "-extensions", kind, "-out", f"{name}.pem")
        return
    _openssl(folder, "req", "-new", *common, "-out", f"{name}.csr")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30")
    extensions = ("-extfile", "ts.cnf", "-extensions", kind)
    _openssl(folder, "x509", "-req", "-in", f"{name}.csr", *signing, *extensions, "-out", f"{name}.pem")


@dataclass
class Authority:
    """What it has in its folder, and how often it was asked."""

    folder: Path
    signer: str = "stamps"
    asked: int = 0

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")

    async def answer(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/timestamp-query"
        self.asked += 1
        return self.reply(await asyncio.to_thread(self.stamp, await request.read()))

    def stamp(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        signed = ("-signer", f"{self.signer}.pem", "-inkey", f"{self.signer}.key")
        _openssl(self.folder, "ts", "-reply", "-queryfile", "query", "-config", "ts.cnf", *signed, "-out", "reply")
        return (self.folder / "reply").read_bytes()

    @staticmethod
    def reply(token: bytes) -> web.Response:
        return web.Response(body=token, content_type="application/timestamp-reply")


def authority(folder: Path) -> Authority:
    """With a CA of its own."""
    folder.mkdir(parents=True)
    (folder / "ts.cnf").write_text(_CONFIG)
    (folder / "serial").write_text("01\n")
    certify(folder, "ca", "root")
    certify(folder, "stamps", "stamping")
    return Authority(folder)
