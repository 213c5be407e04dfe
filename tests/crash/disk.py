"""The door of `disk.c`: builds it, says what a process under it is told, and reads the trace that it leaves."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).with_name("disk.c")
_HEAD = struct.Struct("<ciqI")
"""struct record of disk.c."""


class Record(NamedTuple):
    """One act, in the order in which they happened."""

    what: str
    """As struct record says."""
    fd: int
    number: int
    payload: bytes

    @property
    def paths(self) -> list[str]:
        return self.payload.decode().split("\0")


def build(folder: Path) -> Path:
    """Compiles the library into the folder. Skips the test, with a sentence, where the machine cannot."""
    if sys.platform != "linux":
        pytest.skip("the disk is watched through LD_PRELOAD, as Linux has it")
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        if os.environ.get("CI"):
            pytest.fail("no C compiler: on the machine that says whether a change may go in, this proof must run")
        pytest.skip("no C compiler (cc): install one, on Debian the package gcc with libc6-dev")
    library = folder / "disk.so"
    flags = ("-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-pthread")
    subprocess.run([compiler, *flags, "-o", str(library), str(SOURCE)], check=True, timeout=60)
    return library


def environment(
    library: Path, *, below: Path | None = None, trace: Path | None = None, fsync_ms: int = 0, fail: str = ""
) -> dict[str, str]:
    """What a process is given to run under it.

    below: the folder whose files are meant. trace: where the record goes, standard output among it. fsync_ms: how much
    longer every fsync and fdatasync takes, whatever the file. fail: `write:7:ENOSPC`, the seventh write or truncation
    below the folder fails; `sync:1:EIO:on`, every sync fails; `sync:3:KILL`, the process is killed instead;
    `act:9:EIO`, the ninth of writes and syncs together.
    """
    told = {"LD_PRELOAD": str(library)}
    told |= {"CRASH_DISK_ROOT": str(below)} if below else {}
    told |= {"CRASH_DISK_TRACE": str(trace)} if trace else {}
    told |= {"CRASH_DISK_FSYNC_MS": str(fsync_ms)} if fsync_ms else {}
    return told | ({"CRASH_DISK_FAIL": fail} if fail else {})


def fails(fail: str = "") -> None:
    """In a process that runs under it: what fails from now on, counted from now; empty: nothing more."""
    ctypes.CDLL(None).rvr_disk_fail(fail.encode())


def failed() -> int:
    """In such a process: how often something has failed."""
    return int(ctypes.CDLL(None).rvr_disk_failed())


def records(trace: Path) -> Iterator[Record]:
    """What was done, from the first act on."""
    with trace.open("rb") as told:
        while head := told.read(_HEAD.size):
            what, fd, number, length = _HEAD.unpack(head)
            yield Record(what.decode(), fd, number, told.read(length))
