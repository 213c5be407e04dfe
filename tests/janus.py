"""A real Janus for the tests and measures: the machine's own program, with a configuration of the test's own.

Its websocket listens on loopback. Its media do not, for Janus leaves loopback out: they are at this machine's own
address, and packets to that stay within the machine all the same.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from rvr.media.janus.listed import JanusServer
from tests.serving import free_port

READY_S = 10
SECRET = "the secret of the tests' own Janus"
LEFT_OUT = {
    "plugins": ("audiobridge", "duktape", "echotest", "lua", "nosip", "recordplay", "sip", "streaming", "textroom"),
    "transports": ("http", "mqtt", "nanomsg", "pfunix", "rabbitmq"),
}


def own_address() -> str:
    """An address of this machine other than loopback. Raises OSError when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))  # documentation range: nothing is sent, the kernel only picks the way
        return str(probe.getsockname()[0])


def missing() -> str:
    """What this machine lacks for a Janus, or nothing."""
    if shutil.which("janus") is None:
        return "Janus is not installed (Debian: apt-get install janus)"
    try:
        own_address()
    except OSError:
        return "this machine has no address but loopback, which Janus leaves out"
    return ""


class Janus:
    """One server."""

    def __init__(self, folder: Path, *, general: Mapping[str, str] = {}) -> None:
        """`general`: more lines of its `general` section."""
        self.folder, self.port = folder, free_port()
        self.url = f"ws://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self._write(general)

    def listed(self, *, draining: bool = False) -> JanusServer:
        """As an operator lists it."""
        return JanusServer(self.url, SECRET, draining)

    def list_in(self, file: Path) -> Path:
        """The operator's list with this server alone."""
        file.write_text(f'[[server]]\nurl = "{self.url}"\nsecret = "{SECRET}"\n')
        file.chmod(0o600)
        return file

    def _write(self, general: Mapping[str, str]) -> None:
        program = Path(shutil.which("janus") or "janus").resolve()
        [libraries] = list(program.parents[1].glob("lib/*/janus")) or list(program.parents[1].glob("lib/janus"))
        left_out = {what: ",".join(f"libjanus_{one}.so" for one in names) for what, names in LEFT_OUT.items()}
        own = own_address()
        configuration = f"""
            general: {{
                configs_folder = "{self.folder}"
                plugins_folder = "{libraries}/plugins"
                transports_folder = "{libraries}/transports"
                events_folder = "{self.folder}/none"
                loggers_folder = "{self.folder}/none"
                debug_level = 3
                token_auth = true
                token_auth_secret = "{SECRET}"
                {" ".join(f"{name} = {value}" for name, value in general.items())}
            }}
            nat: {{ ice_enforce_list = "{own}" }}
            plugins: {{ disable = "{left_out["plugins"]}" }}
            transports: {{ disable = "{left_out["transports"]}" }}
        """
        websockets = f"""
            general: {{ ws = true, ws_ip = "127.0.0.1", ws_port = {self.port} }}
            admin: {{ admin_ws = false }}
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "janus.jcfg").write_text(configuration)
        (self.folder / "janus.transport.websockets.jcfg").write_text(websockets)
        (self.folder / "janus.plugin.videoroom.jcfg").write_text("general: { string_ids = true }\n")

    def start(self) -> None:
        """Returns when it listens."""
        command = ["janus", "-F", str(self.folder), "-C", str(self.folder / "janus.jcfg"), "--disable-colors"]
        with (self.folder / "janus.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + READY_S
        while not self._listens():
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError((self.folder / "janus.log").read_text()[-2000:])
            time.sleep(0.05)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def udp_ports(self) -> set[int]:
        """On which it takes media now."""
        assert self.process is not None
        folder = Path(f"/proc/{self.process.pid}")
        inodes = {_socket(entry) for entry in (folder / "fd").iterdir()}
        rows = [line.split() for line in (folder / "net/udp").read_text().splitlines()[1:]]
        return {int(row[1].partition(":")[2], 16) for row in rows if row[9] in inodes}

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:  # 1.1.2 now and then hangs at its end
                self.process.kill()
                self.process.wait()
            self.process = None


def _socket(entry: Path) -> str:
    """The inode of the socket that this descriptor is, if it is one."""
    with contextlib.suppress(OSError):
        return str(entry.readlink()).removeprefix("socket:[").removesuffix("]")
    return ""


@contextlib.contextmanager
def running(folder: Path, **more: Mapping[str, str]) -> Iterator[Janus]:
    server = Janus(folder, **more)
    server.start()
    try:
        yield server
    finally:
        server.stop()
