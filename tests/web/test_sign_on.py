"""Sign-on with a real identity provider (`oidc-provider`, started here): who is let in, as whom; what is refused."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from rvr import sign_on
from rvr.config import SettingFault, load
from rvr.sign_on import SignOnRefused
from rvr.store.tables import AccountRow, every
from rvr.web.context import SIGN_ON
from tests import provider
from tests.serving import free_port
from tests.web.in_process import Answer, House, Someone, in_process

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(provider.missing()), reason=provider.missing() or "there"),
]

ROLES = "Desk.Officer=officer Desk.Advocate=advocate:bswa Desk.Admin=administrator Desk.Evaluator=evaluator"


@dataclass
class Force:
    """A desk and the force's provider."""

    house: House
    provider: provider.Provider


@pytest.fixture
async def force(tmp_path: Path) -> AsyncIterator[Force]:
    port = free_port()
    (tmp_path / "secret").write_text("a secret of the tests alone")
    (tmp_path / "secret").chmod(0o600)
    with provider.running(f"http://127.0.0.1:{port}/sign-in/back") as found:
        told = {
            "oidc_issuer": found.issuer,
            "oidc_client_id": "rvr",
            "oidc_secret_file": str(tmp_path / "secret"),
            "oidc_roles": ROLES,
        }
        async with in_process(tmp_path / "data", port=port, **told) as house:
            yield Force(house, found)


async def led(someone: Someone, path: str = "/sign-in/provider") -> str:
    """Where the browser is sent."""
    async with someone.session.get(path, allow_redirects=False) as got:
        assert got.status == 303, await got.text()
        return got.headers["Location"]


async def comes_back(someone: Someone, address: str) -> Answer:
    """By the step that is of our own site again."""
    assert "/sign-in/finish?" in (await someone.get(f"/sign-in/back?{urlsplit(address).query}")).body
    return await someone.get(f"/sign-in/finish?{urlsplit(address).query}")


async def signs_on(force: Force, login: str) -> tuple[Someone, Answer]:
    someone = await force.house.sign_in()
    answer = await comes_back(someone, await provider.signs_in(await led(someone), login))
    told = await someone.get("/api/v1/session")
    someone.me = told.body if told.status == 200 else {}
    return someone, answer


async def accounts(force: Force) -> list[AccountRow]:
    known = AccountRow.provider_key != ""
    return await force.house.desk.store.read(lambda session: every(session, AccountRow, known))


async def test_who_has_an_app_role_is_let_in_with_it_and_is_the_same_person_the_next_time(force: Force) -> None:
    first, answer = await signs_on(force, "olu~Desk.Officer~Other.App")
    assert answer.status == 303
    assert (first.me["username"], first.me["roles"]) == ("olu@force.example", ["officer"])
    again, _ = await signs_on(force, "olu~Desk.Advocate")
    assert (again.id, again.me["roles"]) == (first.id, ["advocate"]), "the key is tid and oid; the roles are today's"
    (row,) = await accounts(force)
    assert row.provider_key == f"{force.provider.issuer} t-1/o-olu"
    assert (row.units, row.password_hash) == (["bswa"], "")
    assert (await first.get("/api/v1/session")).body["roles"] == ["advocate"]
    log = [one.event.type for one in await force.house.desk.store.load(f"person/{row.id}")]
    assert log == ["PersonRegistered", "AccountChanged"]
    other, _ = await signs_on(force, "ola~Desk.Officer")
    assert other.id != first.id
    refused = await (await force.house.sign_in()).call(
        "POST", "/api/v1/session", {"username": "olu@force.example", "password": ""}
    )
    assert refused.status == 401, "no password opens an account of the provider's"


async def test_without_a_role_here_or_with_a_disabled_account_nobody_is_let_in(force: Force) -> None:
    for login in ("nora", "nora~Other.App"):
        someone, answer = await signs_on(force, login)
        assert (answer.status, "no role at this desk" in answer.body, someone.me) == (403, True, {})
    assert await accounts(force) == []
    officer, _ = await signs_on(force, "olu~Desk.Officer")
    admin, _ = await signs_on(force, "ada~Desk.Admin")
    ended = await admin.call("POST", f"/admin/people/{officer.id}/disable", data={"csrf": admin.me["csrf"]})
    assert ended.status == 303
    assert (await officer.get("/api/v1/session")).status == 401
    _, answer = await signs_on(force, "olu~Desk.Officer")
    assert (answer.status, "disabled" in answer.body) == (403, True)


async def test_what_the_provider_gives_is_changed_at_the_provider(force: Force) -> None:
    """A demotion here would undo itself at the next sign-in."""
    officer, _ = await signs_on(force, "olu~Desk.Officer")
    admin, _ = await signs_on(force, "ada~Desk.Admin")
    page = (await admin.get(f"/admin/people/{officer.id}")).body
    assert ("change it there" in page, 'name="role"' in page) == (True, False)
    asked = {"csrf": admin.me["csrf"], "role": "advocate"}
    refused = await admin.call("POST", f"/admin/people/{officer.id}/role", data=asked)
    assert (refused.status, "change it there" in refused.body) == (422, True)
    assert (await officer.get("/api/v1/session")).body["roles"] == ["officer"]
    local = await force.house.sign_in("officer2")
    assert 'name="role"' in (await admin.get(f"/admin/people/{local.id}")).body


async def test_a_code_is_good_once_and_in_the_browser_that_asked_for_it(force: Force) -> None:
    mine, stranger = await force.house.sign_in(), await force.house.sign_in()
    address = await provider.signs_in(await led(mine), "olu~Desk.Officer")
    assert (await comes_back(stranger, address)).status == 401, "without the browser's secret"
    await led(stranger)
    assert (await comes_back(stranger, address)).status == 401, "with another one's"
    cookies = {one.key: one.value for one in mine.session.cookie_jar}
    assert (await comes_back(mine, address)).status == 303
    mine.session.cookie_jar.clear()
    mine.session.cookie_jar.update_cookies(cookies)
    assert (await comes_back(mine, address)).status == 403, "the provider takes no code twice"
    assert (await mine.get("/api/v1/session")).status == 401


def changed(address: str, **more: str) -> str:
    """The same address with other parameters."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **more})))


async def test_a_token_for_another_nonce_or_verifier_is_refused(force: Force) -> None:
    for more in ({"nonce": "another"}, {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}):
        someone = await force.house.sign_in()
        address = await provider.signs_in(changed(await led(someone), **more), "olu~Desk.Officer")
        assert (await comes_back(someone, address)).status == 403
    assert await accounts(force) == []


async def test_an_export_wants_a_new_proof_at_the_provider_of_the_same_person(force: Force) -> None:
    evaluator, _ = await signs_on(force, "eva~Desk.Evaluator")
    force.house.pass_by(minutes=6)
    refused = await evaluator.call("POST", "/evaluation/export", data={"csrf": evaluator.me["csrf"]})
    assert (refused.status, "/sign-in/provider?to=" in refused.body) == (403, True)
    for login, status in (("olu~Desk.Officer", 401), ("eva~Desk.Evaluator", 303)):
        address = await led(evaluator, "/sign-in/provider?to=/evaluation")
        assert "prompt=login" in address
        answer = await comes_back(evaluator, await provider.signs_in(address, login))
        assert answer.status == status, answer.body
    done = await evaluator.call("POST", "/evaluation/export", data={"csrf": evaluator.me["csrf"]})
    assert done.status == 200


async def test_what_the_provider_never_signed_or_signed_for_others_is_refused(force: Force) -> None:
    desk = sign_on.Provider(force.provider.issuer, "rvr", "", "", "roles", {})
    now = int(time.time())
    right: dict[str, Any] = {"iss": desk.issuer, "aud": "rvr", "sub": "x", "exp": now + 60, "iat": now, "nonce": "n"}

    async def refused(claims: dict[str, Any], key: Any = force.provider.key) -> str:
        token = jwt.encode({"alg": "RS256", "kid": "tests"}, claims, key)
        try:
            await desk._checked(token, "n")
        except SignOnRefused as why:
            return why.code
        return ""

    assert await refused(right) == ""
    assert await refused({**right, "exp": now - 60}) == "token-expired"
    assert await refused({**right, "iss": "https://evil.example"}) == "wrong-issuer"
    assert await refused({**right, "aud": ["rvr", "other"]}) == "wrong-audience"
    assert await refused({**right, "nonce": "m"}) == "wrong-nonce"
    assert await refused({**right, "iat": now + 600}) == "token-from-the-future"
    assert await refused({name: right[name] for name in right if name != "exp"}) == "token-without-times"
    assert await refused(right, RSAKey.generate_key(2048)) == "token-not-signed"
    for alg in ("HS256", "none"):
        with pytest.raises(SignOnRefused, match="token-not-signed"):
            await desk._checked(forged(right, alg, force.provider.key.as_pem(private=False)), "n")
    elsewhere = sign_on.Provider(force.provider.issuer.replace("localhost", "127.0.0.1"), "rvr", "", "", "roles", {})
    with pytest.raises((SignOnRefused, sign_on.SignOnUnreachable)):
        await elsewhere.begin("secret")


def forged(claims: dict[str, Any], alg: str, public: bytes) -> str:
    """With the public key as a shared secret (RFC 8725, 2.1), or with no signature."""
    parts = [json.dumps(one).encode() for one in ({"alg": alg, "kid": "tests"}, claims)]
    signed = b".".join(base64.urlsafe_b64encode(one).rstrip(b"=") for one in parts)
    told = hmac.digest(public, signed, "sha256") if alg == "HS256" else b""
    return f"{signed.decode()}.{base64.urlsafe_b64encode(told).rstrip(b'=').decode()}"


async def test_a_provider_that_does_not_answer_is_told_and_local_accounts_still_sign_in(tmp_path: Path) -> None:
    told = {"oidc_issuer": f"http://127.0.0.1:{free_port()}", "oidc_client_id": "rvr", "oidc_roles": ROLES}
    async with in_process(tmp_path / "data", **told) as house:
        assert (await (await house.sign_in()).get("/sign-in/provider")).status == 503
        assert (await house.sign_in("sergeant")).me["roles"] == ["sergeant"]
        assert "Sign in with your force account" in (await (await house.sign_in()).get("/")).body


async def test_a_desk_without_a_provider_has_no_such_page(tmp_path: Path) -> None:
    async with in_process(tmp_path / "data") as house:
        stranger = await house.sign_in()
        assert (await stranger.get("/sign-in/provider")).status == 404
        assert (await stranger.get("/sign-in/finish?code=x&state=y")).status == 401
        assert house.app[SIGN_ON] is None


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"RVR_OIDC_ISSUER": "http://idp.example"}, "https"),
        ({"RVR_OIDC_ISSUER": "https://idp.example"}, "oidc_client_id"),
        (
            {"RVR_OIDC_ISSUER": "https://idp.example", "RVR_OIDC_CLIENT_ID": "x", "RVR_OIDC_ROLES": "A=boss"},
            "oidc_roles",
        ),
        ({"RVR_LOCAL_ACCOUNTS": "no"}, "nobody can sign in"),
    ],
)
def test_settings_that_let_nobody_in_or_anybody_are_refused(told: dict[str, str], says: str) -> None:
    with pytest.raises(SettingFault, match=says):
        sign_on.provider(load({}, told))
