"""A real identity provider, started by the tests (`oidc-provider` for Node.js); and who signs in at its pages."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from aiohttp import ClientSession, CookieJar
from joserfc.jwk import RSAKey

from tests.serving import ROOT, free_port

SCRIPT = ROOT / "tests/provider.mjs"


@dataclass
class Provider:
    issuer: str
    key: RSAKey
    """With its private half, so that a test can sign what the provider never would."""


def missing() -> str:
    """What this machine lacks for it; empty: nothing."""
    if shutil.which("node") is None:
        return "node is missing"
    return "" if (ROOT / "static/node_modules/oidc-provider").exists() else "run.py test fetches oidc-provider"


@contextlib.contextmanager
def running(redirect: str) -> Iterator[Provider]:
    port = free_port()
    key = RSAKey.generate_key(2048, {"kid": "tests", "use": "sig", "alg": "RS256"})
    jwks = json.dumps({"keys": [key.as_dict(private=True)]})
    node = shutil.which("node") or "node"
    process = subprocess.Popen(
        [node, str(SCRIPT), str(port), redirect, jwks], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        assert "ready" in iter(process.stdout.readline, "ready\n") or process.poll() is None
        yield Provider(f"http://localhost:{port}", key)
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


async def signs_in(address: str, login: str) -> str:
    """Goes through the provider's pages from there; the address to which it leads back."""
    home = urlsplit(address).netloc
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser:
        sent: dict[str, Any] | None = None
        for _ in range(10):
            method = "POST" if sent is not None else "GET"
            async with browser.request(method, address, data=sent, allow_redirects=False) as got:
                text, to = await got.text(), got.headers.get("Location", "")
            if to:
                address, sent = urljoin(address, to), None
                if urlsplit(address).netloc != home:
                    return address
                continue
            action = re.search(r'<form[^>]* action="([^"]+)"', text)
            assert action, text
            address = urljoin(address, action[1])
            sent = dict(re.findall(r'name="(\w+)" value="(\w+)"', text))
            if sent.get("prompt") == "login":
                sent |= {"login": login, "password": "whatever"}
    raise AssertionError("the provider leads in a circle")
