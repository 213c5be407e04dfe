"""The TURN server through which browsers reach the media plane: its credentials, and the configuration that it runs by.

A credential is made anew for each join and lives for minutes (draft-uberti-behave-turn-rest-00, coturn's
`use-auth-secret`): the name is when it ends and a random part, the password a keyed hash of that. So the TURN server
needs no list of people, and what it might log leads to no seat, case or person.
"""

from __future__ import annotations

import argparse
import base64
import hmac
import ipaddress
import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from rvr.config import SettingFault, Settings, read_secret
from rvr.media import IceServer
from rvr.terminal import say

SECRET_BYTES: Final = 32
DEFAULT_PORTS: Final = {"turn": 3478, "turns": 5349}
"""RFC 8656, section 18."""

ALLOCATIONS_OF_ONE: Final = 24
"""A browser allocates once for each address of the server and each network that it has (RFC 8445, 5.1.1): three
addresses, and Wi-Fi and mobile with IPv4 and IPv6, make twelve; a join and one that follows share a credential."""
ALLOCATIONS: Final = 2400
BYTES_A_SECOND: Final = 500_000
"""Of one allocation: three pictures of 1 Mbit/s with their sound, and a quarter more."""


@dataclass(frozen=True, slots=True, repr=False)
class Turn:
    """A TURN server that shares a secret with the desk. Has no repr, so that no log can hold the secret."""

    urls: tuple[str, ...]
    secret: str
    lifetime_s: int
    relay_victims: bool = False

    def server(self, at: datetime, name: str) -> IceServer:
        """What a browser needs for one join. `name`: a random word, of this credential alone."""
        username = f"{int(at.timestamp()) + self.lifetime_s}:{name}"
        keyed = hmac.digest(self.secret.encode(), username.encode(), "sha1")
        return IceServer(self.urls, username, base64.b64encode(keyed).decode())

    def policy(self, *, victim: bool) -> str:
        """RTCIceTransportPolicy: whether a browser may send to the media plane directly, or through this server only,
        which then alone learns where the browser is."""
        return "all" if victim and not self.relay_victims else "relay"


def of(settings: Settings) -> Turn | None:
    """The TURN server of these settings. Raises SettingFault where its secret cannot be read."""
    if not settings.turn_urls:
        return None
    secret = read_secret("turn_secret_file", settings.turn_secret_path)
    if len(secret) < SECRET_BYTES:
        raise SettingFault(f"{settings.turn_secret_path}: too short for a secret; python3 run.py turn makes one")
    return Turn(tuple(settings.turn_urls.split()), secret, settings.turn_lifetime_s, settings.turn_victims)


# --- The server's configuration ----------------------------------------------------------------------------------

CONFIGURATION = """\
# coturn's configuration for this desk, made by `python3 run.py turn`. Holds the shared secret: mode 600.
# Use coturn 4.14 or newer where anybody can reach it.

{listening}
realm={realm}

# Credentials of the desk alone: they end after minutes. No list of users, no command line, no web page.
use-auth-secret
static-auth-secret={secret}
stale-nonce={lifetime_s}
no-cli
fingerprint
no-software-attribute
no-rfc5780
no-stun-backward-compatibility

# It passes on to the media plane and to nobody else: not to this machine, not to the network behind it, not to the
# addresses by which clouds hand out keys. What is allowed stands above what is denied.
no-tcp-relay
no-multicast-peers
denied-peer-ip=0.0.0.0-255.255.255.255
denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
{allowed}

# One browser, all browsers, and how much each may send (bytes a second).
user-quota={user_quota}
total-quota={total_quota}
max-bps={bytes_a_second}

{tls}
# What it logs names the addresses of victims. To look for a fault: log-file=/var/log/turn.log, and delete it after.
no-stdout-log
log-file=/dev/null
"""

TLS = """\
# TLS 1.2 and newer.
cert={cert}
pkey={pkey}
no-tlsv1
no-tlsv1_1
no-dtls
"""
NO_TLS = """\
no-tls
no-dtls
"""


def configuration(
    turn: Turn, *, media: str, listen: str, public: str = "", ports: str = "49152-65535", cert: str = "", pkey: str = ""
) -> str:
    """The text of turnserver.conf. Raises SettingFault for what cannot be.

    `media`: the address of the media plane; `listen`: an address of the TURN server's own machine; `public`: how that
    is reached from outside, behind an address translation.
    """
    for address in filter(None, (media, listen, public)):
        _usable(address)
    numbers: dict[str, int] = {}
    for url in turn.urls:
        if numbers.setdefault(_scheme(url), _port(url)) != _port(url):
            raise SettingFault(f"turn_urls: all {_scheme(url)}: addresses of one server have the same port")
    if "turns" in numbers and not (cert and pkey):
        raise SettingFault("turn_urls has a turns: address: name its certificate and key (--cert, --pkey)")
    low, _, high = ports.partition("-")
    listening = [
        f"listening-ip={listen}",
        f"relay-ip={listen}",
        *([f"external-ip={public}/{listen}"] if public else []),
        f"listening-port={numbers.get('turn', DEFAULT_PORTS['turn'])}",
        *([f"tls-listening-port={numbers['turns']}"] if "turns" in numbers else []),
        f"min-port={int(low)}",
        f"max-port={int(high or low)}",
    ]
    return CONFIGURATION.format(
        listening="\n".join(listening),
        realm=_host(turn.urls[0]),
        secret=turn.secret,
        lifetime_s=turn.lifetime_s,
        allowed=f"allowed-peer-ip={media}",
        user_quota=ALLOCATIONS_OF_ONE,
        total_quota=ALLOCATIONS,
        bytes_a_second=BYTES_A_SECOND,
        tls=TLS.format(cert=cert, pkey=pkey) if "turns" in numbers else NO_TLS,
    )


def _usable(address: str) -> None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise SettingFault(f"“{address}” is no IP address") from None
    if parsed.is_loopback or parsed.is_unspecified:
        raise SettingFault(
            f"{address}: a TURN server refuses to pass anything on to its own machine; set media_public_address, and "
            "name with --listen, addresses that others can reach"
        )


def _scheme(url: str) -> str:
    return url.partition(":")[0]


def _authority(url: str) -> str:
    return url.partition(":")[2].partition("?")[0]


def _host(url: str) -> str:
    authority = _authority(url)
    return authority[1:].partition("]")[0] if authority.startswith("[") else authority.partition(":")[0]


def _port(url: str) -> int:
    tail = _authority(url).rpartition("]")[2]
    return int(tail.rpartition(":")[2]) if ":" in tail else DEFAULT_PORTS[_scheme(url)]


# --- The verb ----------------------------------------------------------------------------------------------------


def add_verb(verbs: Any, store: argparse.ArgumentParser) -> None:
    """The verb with its options."""
    one = verbs.add_parser("turn", parents=[store], help="write coturn's configuration for this desk")
    one.add_argument("--out", type=Path, required=True, metavar="FILE", help="the new turnserver.conf")
    one.add_argument("--listen", required=True, metavar="ADDRESS", help="an address of the TURN server's machine")
    one.add_argument(
        "--public", default="", metavar="ADDRESS", help="how it is reached from outside, where that differs"
    )
    one.add_argument("--ports", default="49152-65535", metavar="N-N", help="UDP ports for the relayed media")
    one.add_argument("--cert", default="", metavar="FILE", help="certificate for turns: addresses, as PEM")
    one.add_argument("--pkey", default="", metavar="FILE", help="its key")


def run(given: argparse.Namespace, settings: Settings) -> int:
    """Makes the secret if there is none, and writes the configuration; the exit code. Raises SettingFault."""
    if not settings.turn_urls:
        raise SettingFault("Set turn_urls first: how browsers are to reach the TURN server")
    made = _make_secret(settings.turn_secret_path)
    turn = of(settings)
    assert turn is not None  # noqa: S101 - there are addresses
    media = settings.media_public_address or settings.media_bind
    where = {name: getattr(given, name) for name in ("listen", "public", "ports", "cert", "pkey")}
    text = configuration(turn, media=media, **where)
    if not _write_private(given.out, text):
        raise SettingFault(f"{given.out} is there already: name a new file")
    if made:
        say(f"{settings.turn_secret_path}: made, the secret that the desk and the TURN server share")
    say(f"{given.out}: written; it holds that secret. It passes on to {media} and to nobody else.")
    return 0


def _make_secret(path: Path) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _write_private(path, f"{secrets.token_urlsafe(SECRET_BYTES)}\n")


def _write_private(path: Path, text: str) -> bool:
    """Writes a new file that only this user can read; False where there is one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise SettingFault(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    return True
