"""Machines that see each other over a bad line: network namespaces, and `link.c` between them.

The kernels that the tests meet often have no netem; this needs only namespaces and /dev/net/tun. What cannot be done on
a machine is said when it is asked for (`needs`), and the tests skip with that sentence.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_name("link.c")
DOOR = Path(__file__).with_name("door.py")


def needs() -> str:
    """What this machine lacks for such a network, in a sentence; empty when it has all."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    for program, package in (("ip", "iproute2"), ("nsenter", "util-linux"), ("unshare", "util-linux")):
        if shutil.which(program) is None:
            return f"no {program}: install it, on Debian the package {package}"
    if _compiler() is None:
        return "no C compiler (cc): install one, on Debian the package gcc with libc6-dev"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "no /dev/net/tun that this user may open: the kernel's module is tun"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, timeout=10)
    return f"network namespaces are not permitted here: {tried.stderr.strip()}" if tried.returncode else ""


def _compiler() -> str | None:
    return os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def build(folder: Path) -> Path:
    """Compiles the link into the folder."""
    program = folder / "link"
    compiler = _compiler()
    assert compiler is not None, needs()
    subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", str(program), str(SOURCE)], check=True, timeout=60)
    return program


@dataclass(frozen=True)
class Line:
    """What a line is like, one way."""

    loss: float = 0.0
    """Share of the packets that are lost, each drawn by itself."""
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """Up to this much more; the order is kept."""
    kbit_s: int = 0
    """0: without limit."""
    queue_ms: int = 300
    """How much waits at that rate before packets are dropped. Home and mobile links hold a few hundred milliseconds."""

    def told(self) -> str:
        queue_bytes = self.kbit_s * self.queue_ms // 8
        return (
            f"loss_ppm={round(self.loss * 1e6)} delay_us={round(self.delay_ms * 1e3)} "
            f"jitter_us={round(self.jitter_ms * 1e3)} kbit={self.kbit_s} queue_bytes={queue_bytes}"
        )


GOOD = Line()


class Place:
    """A machine: a network namespace that lives as long as this object, with the loopback up."""

    def __init__(self, name: str) -> None:
        self.name = name
        # Ends with us, whatever becomes of us: its standard input closes.
        keeper = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && read _"]
        self._keeper = subprocess.Popen(keeper, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == "up\n", name

    @property
    def netns(self) -> str:
        return f"/proc/{self._keeper.pid}/ns/net"

    def within(self, *command: str) -> list[str]:
        """The command that runs that command here."""
        return ["nsenter", f"--net={self.netns}", "--", *command]

    def run(self, *command: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.within(*command), check=check, capture_output=True, text=True, timeout=60, **more)

    @contextmanager
    def running(self, *command: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(self.within(*command), text=True, **more)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()

    @contextmanager
    def door(self, outside: str, inside: str) -> Iterator[None]:
        """Passes TCP on from an address that others reach to one that only this machine does."""
        with self.running(sys.executable, str(DOOR), outside, inside, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield

    def program(self, folder: Path, program: str) -> Path:
        """A script that is that program, started here: for those who start it by one path."""
        script = folder / f"{self.name}-{Path(program).name}"
        script.write_text(f'#!/bin/sh\nexec nsenter --net={self.netns} -- {program} "$@"\n')
        script.chmod(0o755)
        return script

    def close(self) -> None:
        self._keeper.kill()
        self._keeper.wait()
        for pipe in (self._keeper.stdin, self._keeper.stdout):
            assert pipe is not None
            pipe.close()


class Wire:
    """The bad line between two places, told what it is like while it runs."""

    def __init__(self, program: Path, ends: Sequence[tuple[Place, str, str]], seed: int) -> None:
        """`ends`: two of (place, interface, address with its prefix)."""
        (a, a_name, _), (b, b_name, _) = ends
        command = [str(program), a.netns, a_name, b.netns, b_name, str(seed)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect("ready")
        for place, name, address in ends:
            place.run("ip", "address", "add", address, "dev", name)
            place.run("ip", "link", "set", name, "up")

    def both(self, line: Line) -> None:
        self.each(line, line)

    def each(self, there: Line, back: Line) -> None:
        """From the first end to the second, and back."""
        self._tell(f"a {there.told()}")
        self._tell(f"b {back.told()}")

    def cut(self) -> None:
        self._tell("cut")

    def mend(self) -> None:
        self._tell("mend")

    def count(self) -> dict[str, dict[str, int]]:
        """Since the last time, for each way: passed, bytes, lost, overflowed, cut."""
        counted: dict[str, dict[str, int]] = {}
        for word in self._ask("count").split():
            name, equals, value = word.partition("=")
            if equals:
                counted[list(counted)[-1]][name] = int(value)
            else:
                counted[name] = {}
        return counted

    def _tell(self, line: str) -> None:
        self._ask(line, "ok")

    def _ask(self, line: str, expected: str = "") -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._expect(expected)

    def _expect(self, expected: str) -> str:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().strip()
        assert answer == expected or (answer and not expected), f"the link said “{answer}”, not “{expected}”"
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class Network:
    """Places and wires, closed together. Skips the test, with a sentence, where the machine has no such network."""

    def __init__(self) -> None:
        if lacks := needs():
            if os.environ.get("CI"):
                pytest.fail(f"{lacks}; on the machine that says whether a change may go in, this proof must run")
            pytest.skip(lacks)
        self._open = ExitStack()
        self._program = build(Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="rvr-net-"))))

    def place(self, name: str) -> Place:
        place = Place(name)
        self._open.callback(place.close)
        return place

    def wire(self, a: tuple[Place, str, str], b: tuple[Place, str, str], *, seed: int = 1) -> Wire:
        wire = Wire(self._program, (a, b), seed)
        self._open.callback(wire.close)
        return wire

    def close(self) -> None:
        self._open.close()
