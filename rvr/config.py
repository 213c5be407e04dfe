"""Every setting in one table: name, default, unit, help. From a TOML file, RVR_*, or the command line, in that order
of rising strength. An unknown key is an error: a misspelt setting must not be silently ignored.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

NO_SETTINGS = frozenset({"RVR_CHROMIUM", "RVR_SCREENS"})
"""Variables that the tests read, not the desk."""

_LOOPBACK = ("127.0.0.1", "::1", "localhost")

ROOT = Path(__file__).resolve().parent.parent


def _setting(default: Any, help_: str, unit: str = "") -> Any:
    return field(default=default, metadata={"help": help_, "unit": unit})


class SettingFault(Exception):
    """A setting cannot be used: a sentence for the person who set it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings in force."""

    host: str = _setting("127.0.0.1", "Address to listen on")
    port: int = _setting(8080, "Port to listen on")
    data: str = _setting("var/data", "Folder of the database; relative to where you start from")
    database: str = _setting("", "postgresql://USER@HOST/NAME, for several processes; empty: a file in the data folder")
    key_file: str = _setting("", "The key file; never inside the data folder. Default: beside it, DATA.keys/keys.json")
    demo: bool = _setting(True, "Demo accounts and a demo outbox in place of SMS")
    demo_password: str = _setting("", "Password of the demo accounts; empty: a random one is printed at start")
    force: str = _setting("wmp", "The force whose places, teams and hours apply: a file in workflows/forces/")
    workflows: str = _setting(str(ROOT / "workflows"), "Folder of the workflow definitions")
    public_url: str = _setting("", "Address under which staff reach the service; default: from host and port")
    join_url: str = _setting("", "Address under which victims reach it; default: public_url")
    link_text: str = _setting("Here is the link for your call: {link}", "Text of the message; {link} is replaced")
    exit_url: str = _setting("https://www.bbc.co.uk/weather", "Where quick exit leads: a page that anybody may look at")
    signin_idle_s: int = _setting(900, "A sign-in without a request ends after this long", "s")
    signin_max_s: int = _setting(43_200, "A sign-in ends after this long in any case: one shift", "s")
    oidc_issuer: str = _setting("", "Identity provider of the force (OpenID Connect): its issuer address; empty: none")
    oidc_client_id: str = _setting("", "What the provider calls this desk")
    oidc_secret_file: str = _setting("", "File of the secret shared with it; empty: a public client, by PKCE alone")
    oidc_claim: str = _setting("roles", "The claim of its tokens that tells what somebody is here")
    oidc_roles: str = _setting(
        "", "What that means: CLAIM=ROLE or CLAIM=ROLE:TEAM for each, with spaces between; no other may sign in"
    )
    oidc_name: str = _setting("your force account", "What the sign-in page calls it: “Sign in with ...”")
    local_accounts: bool = _setting(True, "Whether accounts of the desk's own sign in, too, beside a provider's")
    media: bool = _setting(True, "Run the media workers here: of several processes on one database, one does")
    media_workers: int = _setting(0, "Media worker processes; 0: one for each core")
    media_codec: str = _setting(
        "VP8", "What all pictures of a call are in: VP8, or H264, which phones encode in hardware"
    )
    media_bind: str = _setting("127.0.0.1", "Address that media workers bind")
    media_public_address: str = _setting("", "Address that browsers are told; default: media_bind")
    media_ports: str = _setting("0-0", "UDP port range of media workers; 0-0: any")
    turn_urls: str = _setting("", "TURN server for browsers: its turn: and turns: addresses, with spaces between")
    turn_secret_file: str = _setting("", "File of the secret shared with it; default: turn.secret beside the key file")
    turn_lifetime_s: int = _setting(600, "A credential for it is good for this long; each join renews it", "s")
    turn_victims: bool = _setting(False, "Victims, too, speak through it alone; staff always do where there is one")
    media_engine: str = _setting("embedded", "Where calls are: embedded, on this machine; janus, on Janus servers")
    janus_file: str = _setting("", "File that lists the Janus servers; it is read again while the desk runs")
    janus_tap: str = _setting("127.0.0.1", "Address of this machine to which they copy what they receive")
    clock_error_limit_ms: int = _setting(
        1500, "A wall clock whose error bound is larger counts as inaccurate: administrators are told", "ms"
    )
    """Verdicts are in seconds. The kernel's bound grows by 500 ppm between two answers of a time server, so by 1,024 ms
    in the 2,048 s that systemd-timesyncd waits at most (timesyncd.conf(5)): a machine in order stays below this."""
    metrics_token_file: str = _setting(
        "", "File of the bearer token for /metrics; empty: programs of this machine alone may read it"
    )
    trusted_proxies: str = _setting(
        "", "Addresses of proxies of ours, with spaces between: their X-Forwarded-For says who asks; empty: no proxy"
    )
    log_answers: bool = _setting(False, "A line in the log for each answer: its route, status and time")
    max_body: int = _setting(65_536, "Largest request body", "bytes")
    witnesses: str = _setting("", "Witnesses of the log: the address and the public key of each, with spaces between")
    timestamp_url: str = _setting("", "Time-stamp authority (RFC 3161) for the log's head, once an hour; empty: none")
    timestamp_ca: str = _setting("", "PEM file of the certificates that its tokens must lead to")
    notify_key_file: str = _setting("", "File of the key of GOV.UK Notify, which then carries the texts")
    notify_url: str = _setting("https://api.notifications.service.gov.uk", "Address of its API")
    notify_sms_template: str = _setting("", "Id of its template for texts, of which ((body)) is all")
    notify_email_template: str = _setting("", "The same for e-mails; empty: they go by smtp_host")
    sms_url: str = _setting("", "Address of a text gateway of the force's own, in place of Notify")
    sms_token_file: str = _setting("", "File of the bearer token there")
    sms_status_url: str = _setting("", "Where it can be asked what became of a text: {id} is replaced; empty: nowhere")
    webhook_secret_file: str = _setting("", "File of the secret (whsec_...) that webhooks are signed with")
    mail_from: str = _setting("", "Sender of the desk's e-mails")
    smtp_host: str = _setting("", "Mail server for the desk's e-mails, and for the daily head of the log")
    smtp_port: int = _setting(587, "Its port")
    smtp_security: str = _setting("starttls", "starttls, tls, or none on this machine only")
    smtp_user: str = _setting("", "User name there; empty: none is told")
    smtp_password_file: str = _setting("", "File of the password there, which only the desk can read")
    head_mail_from: str = _setting("", "Sender of the daily head")
    head_mail_to: str = _setting("", "The one address that gets it; empty: no mail is sent")
    trial_secret_file: str = _setting("", "File of the evaluator's secret, while a trial runs (docs/TRIAL.md)")

    @property
    def key_path(self) -> Path:
        return Path(self.key_file) if self.key_file else Path(f"{self.data_path}.keys") / "keys.json"

    @property
    def project_key_path(self) -> Path:
        """The key of the export's pseudonyms, unless another is named."""
        return self.key_path.parent / "project.json"

    @property
    def oidc_secret_path(self) -> Path | None:
        return Path(self.oidc_secret_file) if self.oidc_secret_file else None

    @property
    def turn_secret_path(self) -> Path:
        return Path(self.turn_secret_file) if self.turn_secret_file else self.key_path.parent / "turn.secret"

    @property
    def data_path(self) -> Path:
        return Path(self.data).expanduser().resolve()

    @property
    def recordings_path(self) -> Path:
        """Sealed files of recordings and stills."""
        return self.data_path / "recordings"

    @property
    def base_url(self) -> str:
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def victim_url(self) -> str:
        return (self.join_url or self.base_url).rstrip("/")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.host in _LOOPBACK

    @property
    def secure(self) -> bool:
        """Whether staff arrive over TLS: then cookies are `__Host-` and Secure."""
        return self.base_url.startswith("https://")


def load(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ, file: Path | None = None) -> Settings:
    """The settings from a file, then RVR_*, then the command line.

    Raises SettingFault for an unknown key or a value of the wrong kind.
    """
    kinds = {f.name: type(f.default) for f in dataclasses.fields(Settings)}
    values: dict[str, Any] = _from_file(file, kinds) if file is not None else {}
    for key, text in environ.items():
        name = key.removeprefix("RVR_").lower()
        if not key.startswith("RVR_") or key in NO_SETTINGS:
            continue
        if name not in kinds:
            raise SettingFault(f"There is no setting “{name}” for the environment variable {key} (see: run.py help)")
        values[name] = _read(f"the environment variable {key}", text, kinds[name])
    values |= {name: value for name, value in given.items() if value is not None}
    settings = Settings(**values)
    _check(settings)
    return settings


def _from_file(file: Path, kinds: Mapping[str, type]) -> dict[str, Any]:
    try:
        table = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as bad:
        raise SettingFault(f"The settings file {file} cannot be read: {bad}") from None
    for name, value in table.items():
        if name not in kinds:
            raise SettingFault(f"{file}: there is no setting “{name}”")
        if type(value) is not kinds[name]:
            raise SettingFault(f"{file}: “{name}” must be of the kind {kinds[name].__name__}")
    return table


def _read(where: str, text: str, kind: type) -> Any:
    try:
        if kind is bool:
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
        return kind(text)
    except (KeyError, ValueError):
        raise SettingFault(f"{where} is “{text}”, which is no {kind.__name__}") from None


def read_secret(name: str, file: Path) -> str:
    """The one line of a file that a setting names. Raises SettingFault when it cannot be read, or by others as well."""
    try:
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise SettingFault(f"The setting “{name}”: {file} can be read by others: chmod 600")
        return file.read_text().rstrip("\n")
    except OSError as error:
        raise SettingFault(f"The setting “{name}”: {file} cannot be read: {error.strerror}") from None


def _check(settings: Settings) -> None:
    if not 0 <= settings.port <= 65535:
        raise SettingFault(f"The port {settings.port} does not exist")
    _check_proxies(settings)
    _check_anchors(settings)
    _check_mail(settings)
    _check_carriers(settings)
    _check_turn(settings)
    _check_sign_on(settings)
    if settings.media_codec not in ("VP8", "H264"):
        raise SettingFault("The setting media_codec must be VP8 or H264")
    _check_media(settings)
    if "{link}" not in settings.link_text:
        raise SettingFault("The text of the message (link_text) must contain {link}")
    if settings.clock_error_limit_ms <= 0:
        raise SettingFault("The limit of the clock's error (clock_error_limit_ms) must be more than nought")
    if settings.demo and not settings.loopback:
        raise SettingFault(
            f"Demo mode listens on this machine only, not on {settings.host}: anybody could read the demo outbox. "
            "Use --host 127.0.0.1, or --no-demo."
        )
    if not settings.demo and not settings.loopback and not settings.secure:
        raise SettingFault("Outside this machine the service needs TLS: set public_url to an https:// address.")


def _check_proxies(settings: Settings) -> None:
    for address in settings.trusted_proxies.split():
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise SettingFault(f"“{address}” (trusted_proxies) is no IP address") from None


_TURN_URL = re.compile(r"turns?:([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?(\?transport=(udp|tcp))?")
"""RFC 7065."""


def _check_turn(settings: Settings) -> None:
    for url in settings.turn_urls.split():
        if not _TURN_URL.fullmatch(url):
            raise SettingFault(
                f"“{url}” (turn_urls) is no address of a TURN server, such as turns:turn.example.org:443?transport=tcp"
            )
    if not 60 <= settings.turn_lifetime_s <= 86_400:
        raise SettingFault("A credential for the TURN server (turn_lifetime_s) is good for a minute to a day")


def _check_sign_on(settings: Settings) -> None:
    if not settings.oidc_issuer:
        if not settings.local_accounts:
            raise SettingFault("Without local accounts (local_accounts) nobody can sign in: set oidc_issuer")
        return
    url = urlsplit(settings.oidc_issuer)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
        raise SettingFault("The setting oidc_issuer must be an https:// address")
    if not settings.oidc_client_id or not settings.oidc_roles:
        raise SettingFault("An identity provider (oidc_issuer) needs oidc_client_id and oidc_roles")


def _check_media(settings: Settings) -> None:
    if settings.media_engine not in ("embedded", "janus"):
        raise SettingFault("The setting media_engine must be embedded or janus")
    if settings.media_engine == "embedded":
        return
    if settings.media_codec != "VP8":
        raise SettingFault("Calls on Janus (media_engine janus) are in VP8 (media_codec)")
    if not settings.janus_file:
        raise SettingFault("Calls on Janus (media_engine janus) need the list of its servers (janus_file)")
    try:
        tap = ipaddress.ip_address(settings.janus_tap)
    except ValueError:
        raise SettingFault("The setting janus_tap must be an IP address of this machine") from None
    if tap.is_unspecified:
        raise SettingFault("The setting janus_tap must be one address of this machine: Janus sends there")


def _check_anchors(settings: Settings) -> None:
    if settings.timestamp_url and not settings.timestamp_ca:
        raise SettingFault(
            "A time-stamp authority (timestamp_url) needs the certificates that it is trusted by (timestamp_ca)"
        )


_ADDRESS = re.compile(r"[^@ ,;\r\n\t<>]+@[^@ ,;\r\n\t<>]+")


def _check_mail(settings: Settings) -> None:
    if settings.head_mail_to and not settings.smtp_host:
        raise SettingFault("The daily mail (head_mail_to) needs the setting smtp_host")
    if settings.head_mail_to and not settings.head_mail_from:
        raise SettingFault("The daily mail (head_mail_to) needs the setting head_mail_from")
    for name in ("mail_from", "head_mail_from", "head_mail_to"):
        address = getattr(settings, name)
        if address and not _ADDRESS.fullmatch(address):
            raise SettingFault(f"The setting {name} must be one address, such as desk@example.org")
    if settings.smtp_security not in ("starttls", "tls", "none"):
        raise SettingFault("The setting smtp_security must be starttls, tls or none")
    if settings.smtp_security == "none" and settings.smtp_host and settings.smtp_host not in _LOOPBACK:
        raise SettingFault("Without TLS (smtp_security none) mail goes to a server on this machine only")


def _check_carriers(settings: Settings) -> None:
    """A number and a link go there: over TLS, or to this machine."""
    if settings.notify_key_file and settings.sms_url:
        raise SettingFault("Texts go by GOV.UK Notify (notify_key_file) or by a gateway (sms_url), not by both")
    for name in ("notify_url", "sms_url", "sms_status_url"):
        url = urlsplit(getattr(settings, name))
        safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)
        if getattr(settings, name) and not safe:
            raise SettingFault(f"The setting {name} must be an https:// address")
    if settings.sms_status_url and "{id}" not in settings.sms_status_url:
        raise SettingFault("The address at which a text is asked about (sms_status_url) must contain {id}")
