"""A real coturn in a namespace, run by the configuration that `run.py turn` writes."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.media.net.network import Place
from tests.serving import ROOT

READY_S = 10


def program() -> str:
    """Path of coturn's turnserver; skips the test where there is none."""
    found = shutil.which("turnserver")
    if found is None:
        lacks = "no turnserver: install coturn, on Debian the package coturn"
        if os.environ.get("CI"):
            pytest.fail(f"{lacks}; on the machine that says whether a change may go in, this proof must run")
        pytest.skip(lacks)
    return found


def certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """A certificate of our own for that address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RVR tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, pkey = folder / "turn.pem", folder / "turn.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = serialization.NoEncryption()
    pkey.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret))
    return cert, pkey


@dataclass(frozen=True)
class TurnServer:
    address: str
    secret: str
    secret_file: Path
    cert: Path
    configuration: Path

    def url(self, transport: str) -> str:
        if transport == "tls":
            return f"turns:{self.address}:5349?transport=tcp"
        return f"turn:{self.address}:3478?transport={transport}"

    def port(self, transport: str) -> int:
        return 5349 if transport == "tls" else 3478


def written(folder: Path, address: str, media: str, *, public: str = "") -> TurnServer:
    """The configuration, as an operator has it written."""
    cert, pkey = certificate(folder, address)
    secret, out = folder / "turn.secret", folder / "turnserver.conf"
    server = TurnServer(address, "", secret, cert, out)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RVR_TURN_URLS": " ".join(server.url(transport) for transport in ("udp", "tcp", "tls")),
        "RVR_TURN_SECRET_FILE": str(secret),
        "RVR_MEDIA_PUBLIC_ADDRESS": media,
    }
    command = [sys.executable, "-m", "rvr.cli", "turn", "--out", str(out), "--listen", address]
    command += ["--cert", str(cert), "--pkey", str(pkey), *(["--public", public] if public else [])]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    return TurnServer(address, secret.read_text().strip(), secret, cert, out)


@contextmanager
def running(place: Place, server: TurnServer, folder: Path) -> Iterator[None]:
    command = [program(), "-c", str(server.configuration), "--pidfile", str(folder / "turn.pid")]
    # Its database of users is not used: a file of the test's own, so that none of the machine's is touched.
    command += ["--db", str(folder / "turndb")]
    with place.running(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + READY_S
        while True:
            assert process.poll() is None, f"turnserver ended with {process.returncode}"
            listens = place.run("ss", "-Htln").stdout
            if all(f"{server.address}:{port}" in listens for port in (3478, 5349)):
                break
            assert time.monotonic() < deadline, listens
            time.sleep(0.1)
        yield
