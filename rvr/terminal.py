"""Who is at the terminal, for the access log: the operating system's user name as it is, since that log is there to
hold people to account, and lies encrypted.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping

from rvr.store.access import TERMINAL, Access, Signin
from rvr.timekeeping import observe

ACCESS: Mapping[str, tuple[str, ...]] = {
    "backup": ("disclosure",),
    "erase": ("erasure",),
    "export": ("disclosure",),
    "import": ("collection",),
    "keys": ("alteration", "disclosure"),
    "replay": ("alteration",),
    "report": ("disclosure",),
    "restore": ("alteration",),
    "retention": ("consultation",),
    "timings": ("consultation",),
    "trial": ("alteration", "consultation"),
    **dict.fromkeys(
        (
            "accounts",
            "check",
            "help",
            "migrate",
            "power",
            "rehearse",
            "serve",
            "simulate",
            "staffing",
            "turn",
            "verify",
            "walk",
            "witness",
        ),
        ("no_case_data",),
    ),
}
"""Verb -> what the access log calls it. The last show no data of a case: `verify` prints the numbers of streams, and
`serve` shows what its routes show, `migrate` nothing. `keys create` and `keys show` touch no case either."""


def user() -> str:
    """The name that the system gives to the user id, not what the environment says; behind sudo with who called it."""
    if os.name != "posix":
        return getpass.getuser()
    import pwd

    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container without a table of users
        name = str(os.getuid())
    caller = os.environ.get("SUDO_USER", "") if os.getuid() == 0 else ""
    return f"{name}/{caller}" if caller else name


def entry(category: str, what: str, *, case_id: str | None = None, reason: str = "", recipient: str = "") -> Access:
    """A row of the access log for what is done here and now."""
    return Access(signin(), category, what, observe().at, case_id, reason, recipient)


def signin() -> Signin:
    """Who is here, as the access log names it."""
    return Signin(TERMINAL, f"{TERMINAL}:{user()}", TERMINAL)


def password(username: str) -> str:
    """Asked for without an echo; where nobody types, one line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(f"Password of {username}: ")
    return sys.stdin.readline().rstrip("\n")


def code(username: str) -> str:
    """The six digits of the authenticator, likewise."""
    if sys.stdin.isatty():
        return input(f"Code of {username}'s authenticator: ").strip()
    return sys.stdin.readline().strip()


def say(line: str) -> None:
    """Writes a line. Where nobody reads any more (`| head`) the verb goes on to its end without being heard."""
    try:
        sys.stdout.write(f"{line}\n")
    except BrokenPipeError:
        _unheard()


def said() -> None:
    """Whatever was said is written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _unheard()


def _unheard() -> None:
    """So that no later line and no flush at the end of the process fails again (Python's documentation of SIGPIPE)."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
