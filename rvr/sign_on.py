"""Sign-on with an identity provider: OpenID Connect, code flow with PKCE (OpenID Connect Core 1.0, RFC 7636, RFC 9700).

A thin client: it finds the provider's addresses, sends the browser there, fetches the token for the code that comes
back, and believes of it what its signature, issuer, audience, times and nonce bear out. People are known by `tid` and
`oid` (Entra ID), or by issuer and `sub`; never by a name or an address, which another person may get.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from rvr.config import SettingFault, Settings, read_secret
from rvr.core.commands import STAFF

ALGORITHMS = ["RS256", "PS256", "ES256"]
"""By a key pair: with a shared secret (HS256) whoever knows the public key could sign (RFC 8725, 2.1)."""

TIMEOUT = aiohttp.ClientTimeout(total=10)
KEPT_S = 3600
"""How long the provider's addresses and keys are kept. A key that is not among them is looked for at once."""

KEYS_AGAIN_S = 30
"""But not more often: a forged token must not make us ask for ever."""

LEEWAY_S = 30
"""By how much the two clocks may differ."""

ADDRESSES = ("authorization_endpoint", "token_endpoint", "jwks_uri")
"""What has to be found at the provider (OpenID Connect Discovery 1.0, 3)."""

FRESH_S = 120
"""How old a sign-in at the provider may be that proves somebody anew."""


class SignOnRefused(Exception):
    """The provider, or what it sent, does not let this person in. `code` says why: it is no secret."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SignOnUnreachable(Exception):
    """The provider does not answer."""


@dataclass(frozen=True, slots=True)
class Somebody:
    """Whom the provider vouches for."""

    key: str
    """By what the provider knows the person, for ever."""
    username: str
    name: str
    roles: tuple[str, ...]
    units: tuple[str, ...]


def derived(secret: str, what: str) -> str:
    """State, nonce and code verifier: each from the one secret in the browser's cookie, and none from another."""
    digest = hashlib.sha256(f"rvr sign-on {what} {secret}".encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass
class Provider:
    """The identity provider of these settings."""

    issuer: str
    client_id: str
    client_secret: str
    redirect: str
    claim: str
    roles: Mapping[str, tuple[str, str]]
    """App role -> role at the desk, and the team or organisation that goes with it or an empty text."""
    _found: dict[str, Any] = field(default_factory=dict)
    _keys: KeySet | None = None
    _asked: float = 0.0
    _keys_asked: float = 0.0

    async def begin(self, secret: str, *, again: bool = False) -> str:
        """Where the browser is sent; with `again` the provider must ask for a proof anew. Raises SignOnUnreachable."""
        found = await self._addresses()
        challenge = hashlib.sha256(derived(secret, "verifier").encode()).digest()
        told = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect,
            "scope": "openid profile",
            "state": derived(secret, "state"),
            "nonce": derived(secret, "nonce"),
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **({"prompt": "login", "max_age": "0"} if again else {}),
        }
        return f"{found['authorization_endpoint']}?{urlencode(told)}"

    async def finish(self, code: str, secret: str, *, again: bool = False) -> Somebody:
        """Whoever the code is about. Raises SignOnRefused or SignOnUnreachable."""
        found = await self._addresses()
        told = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect,
            "client_id": self.client_id,
            "code_verifier": derived(secret, "verifier"),
            **({"client_secret": self.client_secret} if self.client_secret else {}),
        }
        status, answer = await _asked("POST", found["token_endpoint"], data=told)
        if status != 200 or not isinstance(answer.get("id_token"), str):
            raise SignOnRefused("code-refused")
        claims = await self._checked(answer["id_token"], derived(secret, "nonce"))
        if again and "auth_time" not in claims:
            raise SignOnRefused("no-auth-time")
        if again and _number(claims, "auth_time") < time.time() - FRESH_S:
            raise SignOnRefused("not-proven-anew")
        return self._somebody(claims)

    async def _addresses(self) -> dict[str, Any]:
        if not self._found or time.monotonic() - self._asked > KEPT_S:
            url = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
            status, found = await _asked("GET", url)
            if status != 200:
                raise SignOnUnreachable(url)
            if found.get("issuer") != self.issuer:  # mix-up (RFC 9700, 4.4)
                raise SignOnRefused("wrong-issuer")
            if not all(isinstance(found.get(name), str) for name in ADDRESSES):
                raise SignOnUnreachable(url)
            self._found, self._asked, self._keys = found, time.monotonic(), None
        return self._found

    async def _keys_of(self, *, anew: bool = False) -> KeySet:
        if self._keys is None or (anew and time.monotonic() - self._keys_asked > KEYS_AGAIN_S):
            status, found = await _asked("GET", str((await self._addresses())["jwks_uri"]))
            if status != 200:
                raise SignOnUnreachable("jwks_uri")
            self._keys, self._keys_asked = KeySet.import_key_set({"keys": found.get("keys", [])}), time.monotonic()
        return self._keys

    async def _checked(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of the token. Raises SignOnRefused."""
        for anew in (False, True):
            try:
                decoded = jwt.decode(token, await self._keys_of(anew=anew), algorithms=ALGORITHMS)
            except (JoseError, ValueError):  # ValueError: a key that is not among those known
                continue
            break
        else:
            raise SignOnRefused("token-not-signed")
        claims = decoded.claims
        audience = claims.get("aud")
        now = time.time()
        for code, right in (
            ("wrong-issuer", claims.get("iss") == self.issuer),
            ("wrong-audience", audience in (self.client_id, [self.client_id])),
            ("token-expired", _number(claims, "exp") > now - LEEWAY_S),
            ("token-from-the-future", _number(claims, "iat") < now + LEEWAY_S),
            ("wrong-nonce", claims.get("nonce") == nonce),
            ("no-subject", bool(claims.get("sub"))),
        ):
            if not right:
                raise SignOnRefused(code)
        return dict(claims)

    def _somebody(self, claims: Mapping[str, Any]) -> Somebody:
        told = claims.get(self.claim, [])
        held = [self.roles[one] for one in (told if isinstance(told, list) else [told]) if one in self.roles]
        if not held:
            raise SignOnRefused("no-role")
        tid, oid, sub = claims.get("tid"), claims.get("oid"), claims["sub"]
        key = f"{self.issuer} {tid}/{oid}" if tid and oid else f"{self.issuer} {sub}"
        username = str(claims.get("preferred_username") or claims.get("name") or sub)
        return Somebody(
            key,
            username[:100],
            str(claims.get("name") or username)[:100],
            tuple(dict.fromkeys(role for role, _ in held)),
            tuple(dict.fromkeys(unit for _, unit in held if unit)),
        )


def provider(settings: Settings) -> Provider | None:
    """The provider of these settings, if they name one. Raises SettingFault for a secret that cannot be read, and for
    a role that the desk does not have."""
    if not settings.oidc_issuer:
        return None
    file = settings.oidc_secret_path
    return Provider(
        settings.oidc_issuer,
        settings.oidc_client_id,
        read_secret("oidc_secret_file", file) if file else "",
        f"{settings.base_url}/sign-in/back",
        settings.oidc_claim,
        roles_of(settings.oidc_roles),
    )


def roles_of(told: str) -> dict[str, tuple[str, str]]:
    """App role -> role at the desk, and the team or organisation with it (oidc_roles). Raises SettingFault."""
    found = {}
    for one in told.split():
        claim, _, rest = one.rpartition("=")
        role, _, unit = rest.partition(":")
        if not claim or role not in STAFF:
            raise SettingFault(f"“{one}” (oidc_roles) must be CLAIM=ROLE or CLAIM=ROLE:TEAM, with a role of the desk")
        found[claim] = role, unit
    return found


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise SignOnRefused("token-without-times")


async def _asked(method: str, url: str, **sent: Any) -> tuple[int, dict[str, Any]]:
    """Status and JSON object of the answer. Raises SignOnUnreachable."""
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.request(method, url, allow_redirects=False, **sent) as got,
        ):
            body = await got.json(content_type=None) if got.content_length != 0 else {}
            return got.status, body if isinstance(body, dict) else {}
    except (aiohttp.ClientError, TimeoutError, ValueError) as away:
        raise SignOnUnreachable(url) from away
