"""The verbs, and the only place that wires the parts together.

Exit codes: 0 done, 1 found faults, 2 wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import errno
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from rvr import (
    accounts,
    anchoring,
    calls,
    config,
    definitions,
    evaluating,
    exhibits,
    importing,
    operating,
    people,
    planning,
    simulating,
    terminal,
    trialling,
    turn,
    verifying,
    walk,
    witness,
)
from rvr import log as logs
from rvr.carriers.chosen import carrier, lacks
from rvr.clock_watch import ClockWatch
from rvr.config import ROOT, SettingFault, Settings
from rvr.core import events as e
from rvr.core.errors import BadInput, DefinitionFault, Reason, RvrError, Unavailable
from rvr.core.moment import parse_iso
from rvr.desk import Desk
from rvr.evaluation.formats import FORMATS
from rvr.evaluation.leaving_times import AS_RECORDED, WAYS
from rvr.loop import new_event_loop, settle
from rvr.media import MediaEngine, MediaUnavailable, Observation
from rvr.media.elsewhere import Elsewhere
from rvr.media.janus.listed import BadList, listed
from rvr.media.rooms import OnJanus, Rooms
from rvr.messages import catalogue, languages, missing
from rvr.observing import Observing
from rvr.opening import Fault, open_desk, open_store
from rvr.outbox import Outbox
from rvr.periodic import Periodic, Shared
from rvr.recordings import LISTEN_S
from rvr.rehearsal import coverage, scenarios
from rvr.store import access
from rvr.store.checkpoints import RefusesToSign
from rvr.store.engine import CannotOpen
from rvr.store.store import Store
from rvr.ticker import Ticker
from rvr.writing import Writing

log = structlog.get_logger()

SHUTDOWN_S = 3.0

LOOK_S = 0.5
"""How often due clocks and the outbox are looked at: one indexed query each, about 0.1 ms."""

FEED_S = 1.0
"""How often the log is read for what another process wrote. PostgreSQL says so itself; a file does not."""

CHECKPOINT_S = 1.0
"""How often the head of the log is signed when something changed: what a later intruder could still change unseen."""

CLOCK_S = 1.0
"""How often the wall clock is looked at: a few microseconds, and so finely is it told when somebody set it."""

RECONCILE_S = 5.0
"""How often the media plane is told the whole of what is wanted, whatever was missed."""

ROOMS_CHANGE = (
    *(e.SessionPrepared, e.SessionEnded, e.VictimExited, e.RecordingStarted, e.RecordingStopped),
    *(e.GuestInvited, e.GuestArrived, e.GuestAdmitted, e.GuestRefused, e.GuestHeld, e.GuestLetBack, e.GuestRemoved),
)


# --- Wiring ------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def open_media(desk: Desk, settings: Settings) -> AsyncIterator[MediaEngine]:
    """The media plane: its observations go to the desk, the desk's wanted rooms to it."""
    if not settings.media:
        yield Elsewhere()
        return
    first, _, last = settings.media_ports.partition("-")
    observing = Observing(desk)

    async def observed(seen: Observation) -> None:
        await observing.observed(seen)
        await rooms.acknowledge(seen.worker, seen.number)

    on_janus = _on_janus(settings)
    rooms = Rooms(
        observed,
        workers=settings.media_workers or (1 if on_janus else os.cpu_count() or 1),
        video_codec=settings.media_codec,
        media_bind=settings.media_bind,
        media_public_address=settings.media_public_address or None,
        media_ports=(int(first), int(last or first)) if int(first) else None,
        recordings=settings.recordings_path,
        janus=on_janus,
    )

    async def want() -> None:
        if on_janus:
            await _list_servers(rooms, Path(settings.janus_file))
        await rooms.want(await observing.recordings.onto(await calls.wanted_rooms(desk.store)))

    reconcile = Shared(want)  # one at a time, or an older reading could be wanted after a newer one

    async def recorded(events: Sequence[e.Recorded]) -> None:
        for one in events:
            if isinstance(one.event.fact, e.CaseErased):
                await exhibits.forget(settings.recordings_path, await desk.case(one.stream.removeprefix("case/")))
        await calls.give_up_seats(desk.store, rooms.leave, people.signed_out(events))
        if any(isinstance(one.event.fact, ROOMS_CHANGE) for one in events):
            await reconcile()

    await calls.note_restart(desk)
    await exhibits.forget_erased(desk.store, settings.recordings_path)
    await rooms.start()
    await reconcile()
    desk.on_recorded = recorded
    again, listening = Periodic(reconcile, RECONCILE_S), Periodic(observing.recordings.look, LISTEN_S)
    again.start()
    listening.start()
    try:
        yield rooms
    finally:
        await again.stop()
        await listening.stop()
        desk.on_recorded = None
        await rooms.close()


def _on_janus(settings: Settings) -> OnJanus | None:
    if settings.media_engine != "janus":
        return None
    try:
        return OnJanus(listed(Path(settings.janus_file)), settings.janus_tap)
    except BadList as bad:
        raise Fault(str(bad)) from None


async def _list_servers(rooms: Rooms, file: Path) -> None:
    """What the operator has written there since. A list that cannot be used changes nothing, and is told."""
    try:
        rooms.use_servers(await asyncio.to_thread(listed, file))
    except BadList as bad:
        log.warning("janus_list_unusable", error=str(bad))


# --- serve -------------------------------------------------------------------------------------------------------


async def serve(settings: Settings) -> None:
    """Runs the desk until it is told to stop."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C then ends the loop itself
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with open_desk(settings) as desk:
        password = await _accounts(desk, settings)
        opened = anchoring.opened(desk.store, settings, desk.observe)
        async with open_media(desk, settings) as media, opened as anchors, carrier(settings) as carries:
            feed = Periodic(desk.catch_up, FEED_S)
            looks = (
                feed,
                Periodic(Ticker(desk).tick, LOOK_S),
                Periodic(Outbox(desk, carries).deliver, LOOK_S),
                Periodic(Writing(desk).look, LOOK_S),
                Periodic(ClockWatch(desk, settings.clock_error_limit_ms).look, CLOCK_S),
                Periodic(partial(_sign, desk.store), CHECKPOINT_S),
                Periodic(anchors.look, anchoring.LOOK_S),
            )
            runner = await _listen(desk, media, settings, anchors)
            for look in looks:
                look.start()
            if desk.store.bell is not None:
                desk.store.bell.start(feed.soon)
            settle()
            _announce(settings, password)
            try:
                await stop.wait()
            finally:
                await runner.cleanup()
                for look in looks:
                    await look.stop()
                with contextlib.suppress(Unavailable):  # the next start signs it
                    await _sign(desk.store)
                await anchors.last_look()


async def _sign(store: Store) -> None:
    """Signs the head of the log. A refusal is no fault of the look: the store told it, and /health/ready tells it."""
    with contextlib.suppress(RefusesToSign):
        await store.checkpoint()


async def _accounts(desk: Desk, settings: Settings) -> str:
    if not settings.demo:
        found = await people.forbid_demo(desk)
        if found:
            raise Fault(f"These demo accounts must be disabled before live use: {', '.join(found)}")
        wanted = list(lacks(settings, desk.definitions.contacts.channels))
        if not settings.turn_urls:
            wanted.append("a TURN server (turn_urls; see: python3 run.py turn --help)")
        if wanted:
            raise Fault(f"Live mode needs {', and '.join(wanted)}. Or use --demo.")
        return ""
    password = settings.demo_password or secrets.token_urlsafe(9)
    await people.seed_demo(desk, password)
    return password


async def _listen(desk: Desk, media: MediaEngine, settings: Settings, anchors: anchoring.Anchoring) -> web.AppRunner:
    from rvr.web import door
    from rvr.web.app import build

    runner = door.Runner(
        build(desk, media, settings, anchors),
        access_log=None,
        shutdown_timeout=SHUTDOWN_S,
        keepalive_timeout=door.KEPT_S,
        lingering_time=door.LINGERS_S,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, door.listening_socket(settings.host, settings.port), backlog=512).start()
    except OSError as error:
        await runner.cleanup()
        if error.errno == errno.EADDRINUSE:
            raise Fault(
                f"Port {settings.port} is in use by another program. Choose another: python3 run.py serve --port "
                f"{settings.port + 1}"
            ) from None
        raise Fault(f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}") from None
    return runner


def _announce(settings: Settings, password: str) -> None:
    lines = [f"RVR is ready: {settings.base_url}", ""]
    if settings.demo:
        lines += [f"Demo accounts (password {password}):"]
        lines += [f"  {username:<12} {name}, {role.replace('_', ' ')}" for username, name, role in people.DEMO]
        lines += ["", f"Text messages appear at {settings.base_url}/demo/outbox"]
    print("\n".join([*lines, "Stop with Ctrl-C; nothing is lost."]), flush=True)


# --- The other verbs ---------------------------------------------------------------------------------------------


def check(path: Path, force: str) -> int:
    """Lists every fault of the definitions at once."""
    forces = [force] if force else sorted(file.stem for file in (path / "forces").glob("*.toml"))
    if not forces:
        say(f"{path}: there is no forces/ folder with a force in it")
        return 1
    faults: list[str] = []
    for name in forces:
        try:
            flows = definitions.load(path, name).workflows.values()
        except DefinitionFault as found:
            faults += [fault for fault in found.faults if fault not in faults]
        else:
            for flow in flows:
                count = f"{len(flow.states)} states, {len(flow.moves)} moves"
                say(f"{flow.id} for {name}: {count}, version {flow.hash[:12]}")
                if flow.trial is not None:
                    say(f"{flow.id} for {name}: {trialling.told(flow.trial)}")
    for code in languages():
        lacks = missing(code)
        told = f"lacks {len(lacks)} sentences, from {lacks[0]} on: it is not offered" if lacks else "is whole"
        say(f"the victim's page in {code} {told}")
    if not faults:
        faults = unshown(path)
    for fault in faults:
        say(fault)
    say(f"{len(faults)} faults" if faults else "no faults")
    return 1 if faults else 0


def unshown(root: Path) -> list[str]:
    """What these definitions say and no scenario shows, for the force that stories are of which name none."""
    forces = sorted(file.stem for file in (root / "forces").glob("*.toml"))
    force = Settings.force if Settings.force in forces else forces[0]
    definitions_of = scenarios.loader(root)
    try:
        played = [scenarios.play_file(root, path, definitions_of, force) for path in scenarios.files(root)]
    except scenarios.Unplayable as fault:
        return [str(fault)]
    rehearsals = [story.rehearsal for stories in played for story in stories]
    rules = coverage.unshown(definitions_of(force).workflows.values(), rehearsals)
    return [f"{rule}: no scenario shows it" for rule in rules]


def rehearse(path: Path, force: str, *, update: bool) -> int:
    """Plays the scenarios of all workflows, of one, or of one file, and tells what has changed."""
    root = next((folder for folder in (path, *path.parents) if (folder / "forces").is_dir()), None)
    if root is None:
        raise Fault(f"{path}: neither workflows nor a part of them")
    definitions_of, files, faults = scenarios.loader(root), list(scenarios.files(root, path)), 0
    for file in files:
        place = file.relative_to(root).as_posix()
        try:
            played = scenarios.play_file(root, file, definitions_of, force)
        except scenarios.Unplayable as fault:
            say(str(fault))
            faults += 1
            continue
        if difference := scenarios.difference(file, place, played):
            if update:
                file.write_text(scenarios.updated(file.read_text(encoding="utf-8"), played), encoding="utf-8")
            say(f"{place}: updated" if update else difference)
            faults += not update
    say(f"{len(files)} scenario files, {faults} with faults" if faults else f"{len(files)} scenario files, no faults")
    return 1 if faults else 0


def walk_through(workflow: str, force: str, seed: int) -> int:
    """Takes a case through a workflow at this terminal."""
    defined = definitions.load(ROOT / "workflows", force)
    if workflow not in defined.workflows:
        raise Fault(f"There is no workflow {workflow}: choose {' or '.join(defined.workflows)}.")
    walk.Walk(defined.workflows[workflow], defined, seed, sys.stdin, sys.stdout).run()
    return 0


async def export(
    settings: Settings,
    out: Path,
    project: Path | None,
    start: datetime | None,
    end: datetime | None,
    recipient: str = "",
    **how: Any,
) -> None:
    """Writes the evaluator's data package. A disclosure: in the access log before it leaves."""
    from rvr.evaluation import package
    from rvr.evaluation.pseudonyms import CannotExport

    async with open_store(settings, existing=True) as store:
        key = project or settings.project_key_path
        told = terminal.entry("disclosure", "export", recipient=recipient or terminal.user())
        await store.write(lambda connection: access.record(connection, told))
        try:
            summary = await package.export(store, out, project_key=key, from_=start, to=end, **how)
        except CannotExport as fault:
            raise Fault(str(fault)) from None
    say(f"{out}: {summary.cases} cases, {summary.events} events")


async def import_file(settings: Settings, file: Path, kind: str, mapping: Path | None, *, dry_run: bool) -> int:
    """Takes reports, civil orders or outcomes over from another system."""
    words = catalogue()

    def refused(line: int, reasons: Sequence[Reason]) -> None:
        say(f"{file}:{line}: {'; '.join(words.reason(reason) for reason in reasons)}")

    def progress(done: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"{words.say('import.progress', done=done, all=len(job.lines))}\x1b[K\r")

    async with open_desk(settings, existing=True) as desk:
        try:
            job = importing.prepare(desk, file, kind, mapping, dry_run=dry_run)
        except BadInput as wrong:
            sys.stderr.write("".join(f"{words.reason(reason)}\n" for reason in wrong.reasons))
            return 2
        if not dry_run:
            told = terminal.entry("collection", f"import.{kind}")
            await desk.store.write(lambda connection: access.record(connection, told))
        tally = await job.run(refused, progress)
    say(words.say("import.dry_run" if dry_run else "import.done", **dataclasses.asdict(tally)))
    return 1 if tally.refused else 0


def say(line: str) -> None:
    print(line)


# --- The command line --------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """Every verb with its options; each setting is also RVR_* (see `help`)."""
    top = argparse.ArgumentParser(
        prog="run.py", description="RVR: a police Domestic Abuse desk's Rapid Video Response."
    )
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    store = argparse.ArgumentParser(add_help=False)
    store.add_argument("--data", help="folder of the database (default var/data)")
    told = "postgresql://USER@HOST/NAME in place of that folder; with a password only as RVR_DATABASE: options are seen"
    store.add_argument("--database", metavar="URL", help=told)
    store.add_argument("--key-file", metavar="FILE", help="the key file (default beside the data folder)")
    store.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML")
    one = verbs.add_parser("serve", parents=[store], help="run the desk (the verb when none is given)")
    one.add_argument("--host")
    one.add_argument("--port", type=int)
    one.add_argument("--demo", action=argparse.BooleanOptionalAction, default=None, help="demo accounts and outbox")
    one = verbs.add_parser("check", help="list every fault of the workflow definitions")
    one.add_argument("path", nargs="?", type=Path, default=ROOT / "workflows")
    one.add_argument("--force", default="", help="one force only")
    one = verbs.add_parser("rehearse", help="play the scenarios of the workflows, and tell what has changed")
    one.add_argument("path", nargs="?", type=Path, default=ROOT / "workflows", help="a folder or one scenario file")
    one.add_argument("--force", default=Settings.force, help="for scenarios that name no force")
    one.add_argument("--update", action="store_true", help="write what happens now into the scenarios' result lines")
    one = verbs.add_parser("walk", help="take a case through a workflow at this terminal")
    one.add_argument("workflow", nargs="?", default="da-desk")
    one.add_argument("--force", default=Settings.force)
    one.add_argument("--seed", type=int, default=0, help="other invented ids")
    one = verbs.add_parser("export", parents=[store], help="write the evaluator's data package")
    one.add_argument("--out", type=Path, required=True, metavar="DIR|FILE.zip")
    one.add_argument("--from", dest="start", type=_time, metavar="TIME", help="cases opened at or after")
    one.add_argument("--to", dest="end", type=_time, metavar="TIME", help="cases opened before")
    one.add_argument("--project", type=Path, metavar="KEYFILE", help="key of this project's pseudonyms")
    one.add_argument("--proofs", action="store_true", help="prove each row against the signed head of the log")
    one.add_argument("--with-internal-ids", action="store_true", help="accept that proofs show the desk's own ids")
    one.add_argument("--times", choices=WAYS, default=AS_RECORDED, help="as recorded, after the opening, or moved")
    one.add_argument("--disclosure-k", type=int, default=0, metavar="N", help="add tables that hide fewer cases")
    one.add_argument("--unblinded", action="store_true", help="tell a trial's arms by their ids, not by letters")
    one.add_argument("--format", choices=("csv", *FORMATS), action="append", default=[], help="this beside CSV")
    one.add_argument("--recipient", default="", metavar="NAME", help="who gets it, for the access log (default: you)")
    one = verbs.add_parser(
        "import", parents=[store], help="take reports, orders, outcomes or earlier timings over from a CSV file"
    )
    one.add_argument("file", type=Path, metavar="FILE.csv")
    one.add_argument("--kind", choices=(*importing.KINDS, *importing.WHOLE), default="reports")
    one.add_argument("--mapping", type=Path, metavar="FILE.toml", help="what is called how there: see docs/imports/")
    one.add_argument("--dry-run", action="store_true", help="tell what would be refused, and record nothing")
    one = verbs.add_parser("verify", parents=[store], help="check that a log, export or backup is as it was written")
    one.add_argument("path", nargs="?", type=Path, metavar="EXPORT|BACKUP", help="default: the live store")
    one.add_argument("--key", default="", help="the public key that it must be signed with")
    evaluating.add_verbs(verbs, store, _time)
    invented = simulating.people_options()
    simulating.add_verbs(verbs, invented)
    planning.add_verbs(verbs, invented)
    operating.add_verbs(verbs, store)
    accounts.add_verbs(verbs, store)
    trialling.add_verb(verbs, store)
    witness.add_verb(verbs)
    turn.add_verb(verbs, store)
    verbs.add_parser("help", help="this, and every setting")
    return top


def _time(text: str) -> datetime:
    try:
        return parse_iso(text if "T" in text else f"{text}T00:00:00Z")
    except ValueError as bad:
        raise argparse.ArgumentTypeError(str(bad)) from None


def settings_help() -> str:
    """The table of settings, from the one place where they stand."""
    lines = ["", "Settings (a TOML file given by --config, RVR_* in the environment, or an option):"]
    for field in dataclasses.fields(Settings):
        unit = f", {field.metadata['unit']}" if field.metadata["unit"] else ""
        lines.append(f"  RVR_{field.name.upper():<22} {field.metadata['help']} (default {field.default!r}{unit})")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv) or ["serve"]
    given = parser().parse_args(arguments)
    if given.verb == "help":
        parser().print_help()
        say(settings_help())
        return 0
    logs.set_up()
    try:
        return _run(given)
    except (Fault, SettingFault, CannotOpen, MediaUnavailable) as fault:
        sys.stderr.write(f"{fault}\n")
    except DefinitionFault as fault:
        sys.stderr.write(f"{fault}\nThe workflow definitions have faults: python3 run.py check\n")
    except RvrError as error:
        words = catalogue()
        sys.stderr.write("".join(f"{words.reason(reason)}\n" for reason in error.reasons))
    return 1


_OPERATING = {
    **dict.fromkeys(operating.VERBS, operating.run),
    **dict.fromkeys(accounts.VERBS, accounts.run),
    **dict.fromkeys(evaluating.VERBS, evaluating.run),
    **dict.fromkeys(trialling.VERBS, trialling.run),
    **dict.fromkeys(simulating.VERBS, simulating.run),
    **dict.fromkeys(planning.VERBS, planning.run),
    "turn": turn.run,
}


def _run(given: argparse.Namespace) -> int:
    match given.verb:
        case "check":
            return check(given.path, given.force)
        case "rehearse":
            return rehearse(given.path.resolve(), given.force, update=given.update)
        case "walk":
            return walk_through(given.workflow, given.force, given.seed)
        case "witness":
            return witness.run(given)
    named = ("data", "database", "key_file", "host", "port", "demo")
    options: dict[str, Any] = {name: getattr(given, name, None) for name in named}
    settings = config.load(options, file=getattr(given, "config", None))
    if given.verb in _OPERATING:
        return _OPERATING[given.verb](given, settings)
    match given.verb:
        case "serve":
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(serve(settings))
        case "export":
            how: dict[str, Any] = {
                "proofs": given.proofs,
                "internal_ids": given.with_internal_ids,
                "times": given.times,
            }
            how["disclosure_k"], how["unblinded"] = given.disclosure_k, given.unblinded
            how["also"] = [name for name in given.format if name != "csv"]
            asyncio.run(export(settings, given.out, given.project, given.start, given.end, given.recipient, **how))
        case "import":
            job = import_file(settings, given.file, given.kind, given.mapping, dry_run=given.dry_run)
            return asyncio.run(job)
        case "verify":
            return verifying.run(given.path, given.key, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
