"""The verbs.

Exit codes: 0 done, 1 found faults, 2 wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rvr import (
    accounts,
    config,
    definitions,
    evaluating,
    importing,
    operating,
    planning,
    serving,
    simulating,
    terminal,
    trialling,
    turn,
    verifying,
    walk,
    witness,
)
from rvr import log as logs
from rvr.config import ROOT, SettingFault, Settings
from rvr.core.errors import BadInput, DefinitionFault, Reason, RvrError
from rvr.core.moment import parse_iso
from rvr.evaluation.formats import FORMATS
from rvr.evaluation.leaving_times import AS_RECORDED, WAYS
from rvr.loop import new_event_loop
from rvr.media import MediaUnavailable
from rvr.messages import catalogue, languages, missing
from rvr.opening import Fault, open_desk, open_store
from rvr.rehearsal import coverage, scenarios
from rvr.store import access
from rvr.store.engine import CannotOpen
from rvr.terminal import said, say

# --- The verbs ---------------------------------------------------------------------------------------------


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
    one.add_argument("--followed", type=_time, metavar="TIME", help=evaluating.FOLLOWED)
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
        say(parser().format_help())
        say(settings_help())
        said()
        return 0
    logs.set_up()
    try:
        code = _run(given)
        said()
        return code
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
                runner.run(serving.serve(settings))
        case "export":
            how: dict[str, Any] = {
                "proofs": given.proofs,
                "internal_ids": given.with_internal_ids,
                "times": given.times,
                "followed": given.followed,
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
