"""Who is asking: sign-in, sign-out, the check before every handler, and what the access log is told.

A sign-in is a random token in an HttpOnly cookie, kept as a hash. An unsafe request must come from our own origin and
carry the sign-in's CSRF token; deny is the default. Signing in is no processing that s.62 names: it stands in the
operator's log, with the account's id and never with the name that was typed, which may be a password in the wrong box.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from rvr import calls, links, metrics, people
from rvr.config import Settings
from rvr.core.commands import Actor
from rvr.core.errors import BadInput, Forbidden, NotFound, NotSignedIn, Reason, RvrError, TooMany, Unavailable
from rvr.core.moment import iso, parse_iso
from rvr.realtime import Message
from rvr.store import access, staff
from rvr.store.access import Access, Signin
from rvr.store.engine import Connection
from rvr.store.staff import Person
from rvr.store.statements import put
from rvr.store.tables import AccountRow, CaseRow, SigninRow, every
from rvr.web import tries
from rvr.web.context import DESK, MEDIA, SETTINGS, SIGNED_IN, SignedIn

log = structlog.get_logger()

_DUMMY = people.HASHER.hash(secrets.token_hex())
"""Checked when the user name is unknown, so that the answer takes as long."""

SEEN_EVERY_S = 60
"""How often the time of the last request is written: the idle limit is fifteen minutes, a minute is near enough."""

FRESH_S = 300
"""How old a proof may be for what `check_fresh` guards. NIST SP 800-63B leaves it to the risk; an export, an erasure or
a look outside one's cases is begun and done within minutes."""

SAFE_METHODS = frozenset({"GET", "HEAD"})
MOST_LOOKS = 10_000
"""Looks that are remembered at once."""

_looks: web.AppKey[dict[tuple[str, str, str], datetime]] = web.AppKey("looks")
"""Sign-in, case and class of fields -> when the row of that look was written. It is never changed, so that whoever
looks again within fifteen minutes need not wait for the writer to find it."""


def set_up(app: web.Application) -> None:
    app[_looks] = {}


def cookie_name(request: web.Request, name: str) -> str:
    """`__Host-` binds a cookie to this very host, and works over TLS only."""
    return f"__Host-{name}" if request.app[SETTINGS].secure else name


SAME_SITE = {"rvr_s": "Strict", "rvr_j": "Lax", "rvr_g": "Lax", "rvr_o": "Lax"}
"""The victim's cookie and a guest's come along when a link in a web mail is tapped: withheld there, it would be taken
for absent and made anew, and whoever has joined would lose the seat. So does the secret of a sign-on, when the identity
provider leads back. None is sent with a stranger's POST."""


def set_cookie(
    response: web.StreamResponse, request: web.Request, name: str, value: str, *, max_age: int | None = None
) -> None:
    response.set_cookie(
        cookie_name(request, name),
        value,
        path="/",
        httponly=True,
        secure=request.app[SETTINGS].secure,
        samesite=SAME_SITE[name],
        max_age=max_age,
    )


def drop_cookie(response: web.StreamResponse, request: web.Request, name: str) -> None:
    secure, same_site = request.app[SETTINGS].secure, SAME_SITE[name]
    response.del_cookie(cookie_name(request, name), path="/", secure=secure, httponly=True, samesite=same_site)


# --- Signing in and out ------------------------------------------------------------------------------------------


async def sign_in(request: web.Request, username: str, password: str, code: str) -> tuple[SignedIn, str]:
    """The new sign-in and its token. Raises NotSignedIn or TooMany."""
    desk = request.app[DESK]
    accounts = await desk.store.read(lambda session: every(session, AccountRow, AccountRow.username == username))
    known = accounts[0] if accounts else None
    try:
        account = await _proven(request, username, password, code, known)
    except (NotSignedIn, TooMany) as refused:
        metrics.SIGN_INS.labels(refused.reasons[0].code).inc()
        log.warning("sign_in_failed", person=known.id if known else "", code=refused.reasons[0].code)
        raise
    return await start(request, account.id, "password")


async def start(request: web.Request, person: str, how: str) -> tuple[SignedIn, str]:
    """A new sign-in of somebody who was proven, and its token. Raises NotSignedIn where the account was just closed."""
    desk = request.app[DESK]
    token, csrf, now = links.new_token(), secrets.token_urlsafe(24), desk.observe().at
    row = SigninRow(
        token_hash=links.hash_of(token),
        person=person,
        csrf=csrf,
        created_at=iso(now),
        seen_at=iso(now),
        expires_at=iso(now + timedelta(seconds=request.app[SETTINGS].signin_max_s)),
        proved_at=iso(now),
        how=how,
    )

    def begin(connection: Connection) -> None:
        staff.forget_sign_ins(connection, iso(now))
        put(connection, row)

    await desk.store.write(begin)
    signed = await lookup(request, row.token_hash)
    if signed is None:  # the account was closed this moment
        raise NotSignedIn(Reason("sign-in-first"))
    metrics.SIGN_INS.labels("done").inc()
    log.info("signed_in", person=person)
    return signed, token


async def _proven(
    request: web.Request, username: str, password: str, code: str, known: AccountRow | None
) -> AccountRow:
    """The account, if both factors are right. Which of them was wrong is not told."""
    if not request.app[SETTINGS].local_accounts:
        raise NotSignedIn(Reason("no-local-accounts"))
    await tries.spend(request, username)
    account = known if known and not known.disabled else None
    right = await tries.aside(request, partial(_verify, account.password_hash if account else _DUMMY, password))
    if account is None or not right or not await _second(request, account, code):
        raise NotSignedIn(Reason("wrong-password"))
    await tries.forgive(request, username)
    return account


async def _second(request: web.Request, account: AccountRow, code: str) -> bool:
    """Whether the second factor is right. A demonstration's accounts have none. Raises NotSignedIn where one is wanted
    and there is none."""
    desk = request.app[DESK]
    if not account.factor:
        if not request.app[SETTINGS].demo:
            raise NotSignedIn(Reason("no-second-factor"))
        return True
    return await people.second(desk, account, code)


def person_topic(person: str) -> str:
    """What a feed of this member of staff listens to beside what it shows: the end of the sign-in is told there."""
    return f"person/{person}"


def remember(response: web.StreamResponse, request: web.Request, token: str) -> None:
    set_cookie(response, request, "rvr_s", token)


async def sign_out(request: web.Request, response: web.StreamResponse) -> None:
    """Ends the sign-in on the server, the person's seat in a call with it; dropping the cookie would be a promise."""
    desk, person = request.app[DESK], request[SIGNED_IN].actor.id
    await calls.give_up_seats(desk.store, request.app[MEDIA].leave, [Actor(person, frozenset())])
    token = request.cookies.get(cookie_name(request, "rvr_s"), "")
    hashed = links.hash_of(token)

    def forget(connection: Connection) -> None:
        connection.execute("DELETE FROM signin WHERE token_hash = :hash", {"hash": hashed})

    await desk.store.write(forget)
    desk.hub.publish(Message(desk.told, person_topic(person), "signed_out", person))
    log.info("signed_out", person=person)
    drop_cookie(response, request, "rvr_s")


def _verify(password_hash: str, password: str) -> bool:
    try:
        return people.HASHER.verify(password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def _signed_in(signin: staff.Open, person: Person) -> SignedIn:
    actor = Actor(person.id, frozenset(person.roles), person.name, person.units, person.glass)
    role = next(iter(person.roles), "")
    told = Signin(signin.token_hash[:16], person.id, role)
    return SignedIn(actor, signin.csrf, told, person.username, signin.proved_at, signin.how, signin.expires_at)


# --- Before every handler ----------------------------------------------------------------------------------------


async def who(request: web.Request) -> SignedIn | None:
    """The person behind the cookie, or None. Renews the idle limit."""
    token = request.cookies.get(cookie_name(request, "rvr_s"))
    return await lookup(request, links.hash_of(token), renew=True) if token else None


def idle_since(app: web.Application, now: datetime) -> str:
    """A sign-in that was last seen before this has run out."""
    return iso(now - timedelta(seconds=app[SETTINGS].signin_idle_s))


async def lookup(request: web.Request, token_hash: str, *, renew: bool = False) -> SignedIn | None:
    """The live sign-in with this hash. An open stream asks for each message, and is no sign of a person: no `renew`."""
    desk, settings = request.app[DESK], request.app[SETTINGS]
    now = desk.observe().at
    found = await desk.store.look(lambda connection: staff.signed_in(connection, token_hash, iso(now)))
    if found is None:
        return None
    signin, person = found
    idle = now - parse_iso(signin.seen_at)
    too_long = idle > timedelta(seconds=settings.signin_idle_s) and not desk.store.fault  # use cannot be noted then
    if parse_iso(signin.expires_at) < now or too_long or person.disabled:
        return None
    if renew and idle > timedelta(seconds=SEEN_EVERY_S):
        try:
            await desk.store.write(lambda connection: staff.seen(connection, token_hash, iso(now)))
        except Unavailable:
            if not desk.store.fault:  # a disk that takes nothing keeps nobody from reading
                raise
    return _signed_in(signin, person)


async def check(request: web.Request, roles: frozenset[str]) -> None:
    """Lets the request through for somebody with one of these roles, or raises."""
    signed = await who(request)
    if signed is None:
        raise NotSignedIn(Reason("sign-in-first"))
    request[SIGNED_IN] = signed
    if not signed.roles & roles:
        raise Forbidden(Reason("not-allowed-here"))
    if request.method not in SAFE_METHODS:
        await check_csrf(request, signed.csrf)


def check_fresh(request: web.Request) -> None:
    """What gives much away, or gives somebody more rights, wants a proof that is a few minutes old at most: whoever
    finds a screen unlocked does none of it. Raises Forbidden.
    """
    proved, now = request[SIGNED_IN].proved_at, request.app[DESK].observe().at
    if not proved or now - parse_iso(proved) > timedelta(seconds=FRESH_S):
        raise Forbidden(Reason("confirm-first", {"minutes": FRESH_S // 60}))


async def confirm(request: web.Request, password: str, code: str) -> None:
    """Whoever is signed in proves anew who it is. Raises NotSignedIn or TooMany."""
    desk, signed = request.app[DESK], request[SIGNED_IN]
    known = await desk.store.read(lambda session: every(session, AccountRow, AccountRow.id == signed.actor.id))
    try:
        await _proven(request, signed.username, password, code, known[0])
    except (NotSignedIn, TooMany) as refused:
        log.warning("confirm_failed", person=signed.actor.id, code=refused.reasons[0].code)
        raise
    await note_proof(request)


async def note_proof(request: web.Request) -> None:
    """The sign-in of this request was proven now."""
    token = links.hash_of(request.cookies.get(cookie_name(request, "rvr_s"), ""))
    at = iso(request.app[DESK].observe().at)
    await request.app[DESK].store.write(lambda connection: staff.proved(connection, token, at))
    log.info("confirmed", person=request[SIGNED_IN].actor.id)


async def check_csrf(request: web.Request, expected: str) -> None:
    """An unsafe request must carry the token and must not come from a foreign page."""
    check_origin(request)
    given = request.headers.get("X-CSRF-Token", "")
    if not given and request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        given = str((await form_of(request)).get("csrf", ""))
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise Forbidden(Reason("csrf"))


async def form_of(request: web.Request) -> Mapping[str, Any]:
    """The fields of a page's form. Raises BadInput for a body that is none."""
    try:
        return await request.post()
    except (ValueError, LookupError, AssertionError, HttpProcessingError):  # no such charset, no boundary, no headers
        raise BadInput(Reason("not-a-form")) from None


def our_hosts(settings: Settings) -> frozenset[str]:
    """The names under which this service is reached; on a loopback address that address by any of its names."""
    told = {urlsplit(url).netloc for url in (settings.base_url, settings.victim_url)}
    local = {f"{name}:{settings.port}" for name in ("127.0.0.1", "localhost", "[::1]")} if settings.loopback else set()
    return frozenset(told | local)


def check_host(request: web.Request) -> None:
    """Refuses a request for another host: a page of a stranger whose name now leads here must read nothing."""
    if request.host not in our_hosts(request.app[SETTINGS]):
        raise NotFound(Reason("no-such-host"))


def check_origin(request: web.Request) -> None:
    """Refuses a request that says it comes from another site. A missing Origin says nothing; the token then decides."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc not in our_hosts(request.app[SETTINGS]):
        raise Forbidden(Reason("csrf"))
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden(Reason("csrf"))


# --- The access log ----------------------------------------------------------------------------------------------


NOT_SHOWN = frozenset({"no-such-case", "not-allowed-here", "conflict-declared"})
"""Reasons why somebody is not shown a case; a move that is refused on a case that is shown is no such thing."""


async def looked(request: web.Request, shown: Mapping[str, Iterable[str]]) -> None:
    """Writes down what is about to be shown, by case id; returns when that is on the disk. On a full disk it is held in
    memory: a victim's address must not be kept from whoever is on the way for want of a note about it.
    """
    signin, looks, at = request[SIGNED_IN].signin, request.app[_looks], request.app[DESK].observe().at
    wanted = [(signin.id, case_id, one) for case_id, classes in shown.items() for one in classes]
    fresh = [look for look in wanted if look not in looks or not access.is_lately(looks[look], at)]
    if not fresh:
        return

    def note(connection: Connection) -> list[tuple[str, str, str]]:
        return [look for look in fresh if access.looked(connection, signin, look[1], look[2], at)]

    written = await request.app[DESK].store.write_or_hold(note)
    if len(looks) > MOST_LOOKS:
        looks.clear()
    looks.update(dict.fromkeys(written or (), at))


async def refused(request: web.Request, case_id: str, error: RvrError, otherwise: str = "") -> None:
    """Writes down that somebody who is signed in asked for a case and was not shown it. No guidance that we know says
    so; but looking for a case that is none of one's business is what an auditor is there for, found or not.

    What is no case's id was typed by somebody: it is not written. `otherwise`: what is written where the error is for
    another reason; else nothing is.
    """
    signed, code = request.get(SIGNED_IN), error.reasons[0].code if error.reasons else ""
    noted = code if code in NOT_SHOWN else otherwise
    if signed is None or not noted:
        return
    desk = request.app[DESK]
    at, signin = desk.observe().at, signed.signin
    if await desk.store.read(lambda session: every(session, CaseRow, CaseRow.id == case_id)):
        await desk.store.write_or_hold(lambda connection: access.refused(connection, signin, case_id, noted, at))


async def note(
    request: web.Request, category: str, what: str, *, case_id: str | None = None, to: str = "", why: str = ""
) -> None:
    """Writes what is neither a look at a case nor a command into the access log, before it is done."""
    desk = request.app[DESK]
    entry = Access(request[SIGNED_IN].signin, category, what, desk.observe().at, case_id, why, to)
    await desk.store.write(lambda connection: access.record(connection, entry))
