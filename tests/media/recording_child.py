"""Records a call in real time until it is killed: prints what it has sent, in seconds of media, as it goes."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from rvr.media.recording import Recorder
from tests.media import packets


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(folder: str, key: str, limit: str) -> None:
    """`limit`: the most bytes that a file of this process may have; 0 for none."""
    if int(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    recorder = Recorder(
        Path(folder),
        "recording",
        bytes.fromhex(key),
        "seat",
        on_block=lambda head: say(f"told {head.n} {head.bytes} {head.sha256}"),
        on_end=lambda head, cause: say(f"ended {head.n} {cause}"),
    )
    recorder.codecs(packets.CODECS)
    call = list(packets.a_call(30))
    began = time.monotonic()
    say("began")
    for sent in call:
        wait = began + sent.at_ns / 1e9 - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        recorder.packet(sent.kind, sent.rtp, time.monotonic_ns())
        say(f"sent {time.monotonic_ns()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
