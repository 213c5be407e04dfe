"""run.py on copies of the repository with small lock files: first use, later starts, cut-off set-ups and faults."""

from __future__ import annotations

import ast
import contextlib
import fcntl
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
RUN_PY = REPOSITORY / "run.py"

# Stands for rvr.cli: says what it was given and from where, and fails as the real one does on wrong use.
CLI = """\
import os, sys
print("cli", *sys.argv[1:], "from", os.getcwd())
sys.exit(2 if "nonsense" in sys.argv else 0)
"""
# Stands for rvr.assets: leaves the file by which run.py knows that it ran.
ASSETS = """\
from pathlib import Path
vendor = Path(__file__).parent.parent / "static" / "vendor"
vendor.mkdir(exist_ok=True)
(vendor / "htmx.js").write_text("")
"""
# A package that only a registry could give, and the registry that every test has: a closed port.
ONE_PACKAGE = "nothing-of-ours==1.0 --hash=sha256:" + "0" * 64 + "\n"
NO_REGISTRY = "http://127.0.0.1:9/simple"


@dataclass
class Copy:
    """A small copy of the repository, and how to start it with no network to be had."""

    root: Path

    @property
    def notes(self) -> Path:
        return self.root / ".venv" / "rvr-setup"

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        return kept | {
            "HOME": str(self.root / "home"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": NO_REGISTRY,
            "PIP_RETRIES": "1",
            "PIP_NO_CACHE_DIR": "1",
            "npm_config_registry": NO_REGISTRY,
            "npm_config_cache": str(self.root / "home/npm"),
            "npm_config_fetch_retries": "0",
            **more,
        }

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(self.root / "run.py"), *arguments],
            cwd=self.root.parent,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, **more) as process:
            out, err = process.communicate(timeout=60)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def write_copy(root: Path) -> Copy:
    for folder in ("static", "rvr", "home"):
        (root / folder).mkdir(parents=True)
    shutil.copy(RUN_PY, root / "run.py")
    for lock in ("requirements.lock", "requirements-test.lock", "requirements-node.lock"):
        (root / lock).write_text("# nothing\n")
    package = {"name": "copy", "version": "1.0.0"}
    (root / "static/package.json").write_text(json.dumps(package))
    npm_lock = {**package, "lockfileVersion": 3, "requires": True, "packages": {"": package}}
    (root / "static/package-lock.json").write_text(json.dumps(npm_lock))
    shutil.copy(REPOSITORY / "static/.npmrc", root / "static/.npmrc")
    (root / "rvr/__init__.py").touch()
    (root / "rvr/cli.py").write_text(CLI)
    (root / "rvr/assets.py").write_text(ASSETS)
    return Copy(root)


@pytest.fixture
def fresh(tmp_path: Path) -> Copy:
    """As after `git clone`: nothing is set up."""
    return write_copy(tmp_path / "rvr-copy")


@dataclass
class FirstUse:
    """Two starts of one fresh copy at the same moment, as when a person is impatient."""

    copy: Copy
    ends: list[subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def first_use(tmp_path_factory: pytest.TempPathFactory) -> FirstUse:
    copy = write_copy(tmp_path_factory.mktemp("run") / "rvr-copy")
    starts = [copy.start(), copy.start()]
    told = [process.communicate(timeout=60) for process in starts]
    ends = [subprocess.CompletedProcess("", p.returncode, *both) for p, both in zip(starts, told, strict=True)]
    return FirstUse(copy, sorted(ends, key=lambda end: "waiting for it" in end.stderr))


@pytest.fixture
def ready(first_use: FirstUse, tmp_path: Path) -> Copy:
    """A copy that is set up; made once and copied, since making it takes seconds."""
    shutil.copytree(first_use.copy.root, tmp_path / "rvr-copy", symlinks=True)
    return Copy(tmp_path / "rvr-copy")


@pytest.fixture
def without_front_end(ready: Copy) -> Copy:
    """A copy whose Python packages are there and whose front-end packages are still to come."""
    (ready.notes / "front-end").unlink()
    (ready.notes / "assets").unlink()
    return ready


class SlowPrograms:
    """A PATH on which the named programs never end, and the way to end the one that was called."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.began = folder / "began"
        self.path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        for name in names:
            # exec keeps the id that the shell has just noted; the rename shows it whole or not at all.
            program(folder / name, f"echo $$ > {self.began}.new; mv {self.began}.new {self.began}; exec sleep 30")

    def wait_for_call(self) -> None:
        until = time.monotonic() + 20
        while not self.began.exists():
            assert time.monotonic() < until, "the slow program was never called"
            time.sleep(0.02)

    def end(self) -> None:
        os.kill(int(self.began.read_text()), signal.SIGKILL)


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def loaded() -> ModuleType:
    """run.py as a module, not started."""
    spec = importlib.util.spec_from_file_location("rvr_run", RUN_PY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- first use and later starts ---


def test_the_first_use_sets_everything_up_tells_each_step_and_hands_over(first_use: FirstUse) -> None:
    done = first_use.ends[0]
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["cli", "serve"])
    for step in ("Setting up RVR", "Python packages ... done in", "front-end packages ... done", "styles and scripts"):
        assert step in done.stderr
    assert "\r" not in done.stderr  # no spinner in a pipe
    assert not (first_use.copy.notes / "pending").exists()


def test_a_second_start_waits_for_the_first_and_then_has_nothing_to_do(first_use: FirstUse) -> None:
    second = first_use.ends[1]
    assert (second.returncode, second.stdout.split()[:2]) == (0, ["cli", "serve"])
    assert second.stderr == "Another start is setting up RVR; waiting for it.\n"


def test_a_later_start_is_quick_silent_and_needs_no_network_npm_or_lock(ready: Copy) -> None:
    slow = SlowPrograms(ready.root / "slow", "npm", "node", "pip", "apt-get")
    with held(ready):
        begun = time.monotonic()
        done = ready.run("board", PATH=slow.path, HTTPS_PROXY=NO_REGISTRY)
        took_s = time.monotonic() - begun
    assert (done.returncode, done.stderr) == (0, "")
    assert took_s < 2


@contextlib.contextmanager
def held(copy: Copy) -> Iterator[None]:
    """The set-up lock, in other hands."""
    with (copy.root / ".venv.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize(
    ("given", "handed_over"),
    [([], ["serve"]), (["--port", "9"], ["serve", "--port", "9"]), (["walk", "da-desk"], ["walk", "da-desk"])],
)
def test_verbs_pass_through_and_none_means_serve(ready: Copy, given: list[str], handed_over: list[str]) -> None:
    done = ready.run(*given)
    assert done.stdout.split() == ["cli", *handed_over, "from", str(ready.root.parent)]


def test_a_wrong_verb_gets_the_answer_and_the_exit_code_of_the_command_line(ready: Copy) -> None:
    assert ready.run("nonsense").returncode == 2


def test_help_of_run_py_needs_no_set_up(fresh: Copy) -> None:
    done = fresh.run("--help")
    assert (done.returncode, "python3 run.py test" in done.stdout) == (0, True)
    assert not (fresh.root / ".venv").exists()


@pytest.mark.parametrize("verb", ["lint", "screens"])
def test_lint_and_screens_take_no_arguments(ready: Copy, verb: str) -> None:
    done = ready.run(verb, "--fix")
    assert (done.returncode, done.stderr) == (2, f"run.py: `run.py {verb}` takes no arguments\n")


@pytest.mark.parametrize(
    ("changed", "redone", "untouched"),
    [
        ("requirements.lock", "Python packages", "front-end packages"),
        ("static/package-lock.json", "front-end packages", "Python packages"),
        ("rvr/assets.py", "styles and scripts", "Python packages"),
    ],
)
def test_a_changed_file_redoes_its_own_steps_and_no_other(
    ready: Copy, changed: str, redone: str, untouched: str
) -> None:
    with (ready.root / changed).open("a") as file:
        file.write("\n")
    done = ready.run("help")
    assert done.returncode == 0
    assert f"{redone} ... done" in done.stderr
    assert untouched not in done.stderr


# --- set-ups that were cut off ---


def test_a_killed_set_up_is_taken_up_by_the_next_start_once_its_orphan_has_ended(without_front_end: Copy) -> None:
    slow = SlowPrograms(without_front_end.root / "slow", "npm")
    with without_front_end.start("help", PATH=slow.path) as first:
        slow.wait_for_call()
        first.kill()
        with without_front_end.start("help") as second:
            assert second.stderr is not None
            waiting = second.stderr.readline()
            slow.end()
            out, err = second.communicate(timeout=30)
    assert waiting == "Another start is setting up RVR; waiting for it.\n"
    assert (second.returncode, out.split()[:2]) == (0, ["cli", "help"])
    assert "front-end packages ... done" in err
    assert "Python packages" not in err  # they were whole


def test_a_set_up_cut_off_while_packages_were_copied_begins_anew(ready: Copy) -> None:
    (ready.notes / "pending").touch()
    (ready.notes / "setup.log").write_text("Installing collected packages: half-a-package\n")
    (ready.root / ".venv/half-a-package").touch()
    done = ready.run("help")
    assert (done.returncode, "virtual environment ... done" in done.stderr) == (0, True)
    assert not (ready.root / ".venv/half-a-package").exists()


def test_a_set_up_cut_off_while_packages_were_fetched_keeps_what_works_without_a_network(ready: Copy) -> None:
    (ready.root / "requirements-test.lock").write_text(ONE_PACKAGE)
    failed = ready.run("test")
    assert failed.returncode == 1
    assert (ready.notes / "pending").exists()
    done = ready.run("help")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_virtual_environment_without_its_python_is_made_anew(ready: Copy) -> None:
    (ready.root / ".venv/bin/python").unlink()
    done = ready.run("help")
    assert (done.returncode, "virtual environment ... done" in done.stderr) == (0, True)


# --- faults ---


def test_without_a_network_one_sentence_names_the_way_out_and_the_log(ready: Copy) -> None:
    (ready.root / "requirements.lock").write_text(ONE_PACKAGE)
    done = ready.run()
    assert done.returncode == 1
    told = done.stderr[done.stderr.index("run.py: ") :]
    assert told.startswith("run.py: Installing requirements.lock failed: the package registry cannot be reached; check")
    assert str(ready.notes / "setup.log") in told
    assert "nothing-of-ours" in (ready.notes / "setup.log").read_text()


def test_a_registry_that_says_nothing_of_itself_is_named_as_a_likely_cause() -> None:
    told = loaded().why_it_failed("Installing", "ERROR: No matching distribution found for aiohttp==3.14.5")
    assert "did not answer, or it lacks a package; check the network, or the mirror" in told


def test_front_end_packages_that_cannot_be_fetched_get_the_same_sentence(ready: Copy) -> None:
    static = ready.root / "static"
    package = {"name": "copy", "version": "1.0.0", "dependencies": {"nothing-of-ours": "1.0.0"}}
    dependency = {"version": "1.0.0", "integrity": "sha512-" + "A" * 86 + "=="}
    packages = {"": package, "node_modules/nothing-of-ours": dependency}
    (static / "package.json").write_text(json.dumps(package))
    lock = {"name": "copy", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": packages}
    (static / "package-lock.json").write_text(json.dumps(lock))
    done = ready.run()
    assert done.returncode == 1
    assert "(npm ci in static/) failed: the package registry cannot be reached; check" in done.stderr


def test_a_machine_without_npm_gets_node_from_the_python_registry(without_front_end: Copy) -> None:
    (without_front_end.root / "requirements-node.lock").write_text(ONE_PACKAGE)
    done = without_front_end.run(PATH=str(without_front_end.root / "empty"))
    assert done.returncode == 1
    assert "Node.js (this machine has no npm 7 or newer)" in done.stderr
    assert "Installing requirements-node.lock failed: the package registry cannot be reached" in done.stderr


def test_a_package_with_another_content_than_the_lock_names_is_refused_in_words() -> None:
    told = loaded().why_it_failed(
        "Installing", "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."
    )
    assert "not the one that the lock file names" in told


def test_a_failure_of_another_kind_is_told_with_the_last_words_of_the_program() -> None:
    told = loaded().why_it_failed("Installing", "collecting\n\nerror: command 'gcc' failed\n")
    assert told.startswith("Installing failed; mend what its last words name and start again. All of its output is in ")
    assert told.endswith("\n    collecting\n    error: command 'gcc' failed")


def test_a_full_disk_is_told_as_such() -> None:
    told = loaded().why_it_failed("Installing", "ERROR: [Errno 28] No space left on device")
    assert "the disk is full; make room and start again" in told


def test_too_little_room_is_told_before_anything_is_fetched(
    fresh: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = loaded_from(fresh)
    monkeypatch.setattr(run.shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 10**9, 5_000_000))
    for given, needed_mb in (([], 800), (["test"], 1600)):
        assert run.main(given) == 1
        told = f"the disk has 5 MB left, and the first set-up needs about {needed_mb} MB; make room and start again"
        assert capsys.readouterr().err == f"run.py: {told}\n"
    assert not (fresh.root / ".venv").exists()


def loaded_from(copy: Copy) -> ModuleType:
    """run.py as a module whose folder is the copy."""
    run = loaded()
    for name, value in vars(run).copy().items():
        if isinstance(value, Path) and value.is_relative_to(REPOSITORY):
            setattr(run, name, copy.root / value.relative_to(REPOSITORY))
    return run


def test_a_read_only_folder_is_told_as_such(
    fresh: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = loaded_from(fresh)
    monkeypatch.setattr(run.os, "access", lambda *_: False)
    assert run.main([]) == 1
    assert capsys.readouterr().err == (
        f"run.py: the folder {fresh.root} is read-only for this user; copy RVR to one you can write to\n"
    )


def test_a_python_without_venv_is_told_which_package_brings_it(
    fresh: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert loaded_from(fresh).main([]) == 1
    told = capsys.readouterr().err
    assert "Python's venv module is missing; install it (Debian and Ubuntu: apt-get install python3." in told


def test_an_old_python_gets_a_sentence_with_a_way_out() -> None:
    too_old = loaded().too_old
    assert too_old((3, 11, 0), shutil.which) == ""
    assert too_old((3, 8, 1), lambda _name: None) == (
        "RVR needs Python 3.11 or newer, and this is Python 3.8; "
        "install a newer one and start with it, for example: python3.12 run.py"
    )
    newer = too_old((3, 8, 1), {"python3.12": "/usr/bin/python3.12"}.get)
    assert newer.endswith("this machine has a newer one: python3.12 run.py")


def test_run_py_can_be_read_by_a_python_that_is_too_old() -> None:
    ast.parse(RUN_PY.read_text(encoding="utf-8"), feature_version=(3, 6))


# --- the browser of the tests ---


def test_a_browser_named_in_the_environment_is_taken_and_a_wrong_name_is_told(
    ready: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = loaded_from(ready)
    monkeypatch.setenv("RVR_CHROMIUM", sys.executable)
    assert run.ensure_browser() == sys.executable
    monkeypatch.setenv("RVR_CHROMIUM", "/nowhere/chromium")
    with pytest.raises(run.SetupFault, match="RVR_CHROMIUM names /nowhere/chromium, which is not a program"):
        run.ensure_browser()


def test_a_browser_that_only_advises_to_install_another_is_passed_over_and_the_found_one_is_remembered(
    ready: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = loaded_from(ready)
    monkeypatch.delenv("RVR_CHROMIUM", raising=False)
    folder = ready.root / "programs"
    program(folder / "chromium", "echo 'install the snap' >&2; exit 1")
    real = program(folder / "google-chrome", "echo 'Google Chrome 156.0.1'")
    monkeypatch.setenv("PATH", str(folder))
    assert run.ensure_browser() == str(real)
    monkeypatch.setenv("PATH", "/nowhere")
    assert run.ensure_browser() == str(real)


def test_without_a_browser_debians_package_is_installed(ready: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    run = loaded_from(ready)
    monkeypatch.delenv("RVR_CHROMIUM", raising=False)
    folder = ready.root / "programs"
    chromium = folder / "chromium"
    new = f"printf '#!/bin/sh\\necho Chromium 156.0\\n' > {chromium}; /bin/chmod 755 {chromium}"
    install = f'[ "$1" = install ] || exit 0\n{new}'
    program(folder / "apt-get", install)
    monkeypatch.setattr(run.os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(folder))
    assert run.ensure_browser() == str(chromium)


def test_programs_that_the_tests_start_are_installed_but_not_where_they_would_be_started_at_once(
    ready: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = loaded_from(ready)
    folder, asked = ready.root / "programs", ready.root / "asked"
    for name, package in run.PROGRAMS_OF_TESTS:
        if package != "coturn":
            program(folder / Path(name).name, "true")
    program(folder / "apt-get", f'echo "$@" >> {asked}')
    wanted = [(Path(name).name, package) for name, package in run.PROGRAMS_OF_TESTS]
    monkeypatch.setattr(run, "PROGRAMS_OF_TESTS", wanted)
    monkeypatch.setattr(run.os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(run, "SERVICES_START", ready.root)
    run.ensure_programs()
    assert not asked.exists()
    monkeypatch.setattr(run, "SERVICES_START", ready.root / "nothing")
    run.ensure_programs()
    assert asked.read_text().splitlines()[-1] == "install -y --no-install-recommends coturn"


def test_where_no_browser_can_be_had_the_sentence_says_what_to_do(ready: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    run = loaded_from(ready)
    monkeypatch.delenv("RVR_CHROMIUM", raising=False)
    monkeypatch.setattr(run, "CHROMIUM_PLACES", ())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(run.SetupFault, match="name one in RVR_CHROMIUM, and start again"):
        run.ensure_browser()


# --- what others may rely on ---


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock", "requirements-node.lock"])
def test_a_lock_names_versions_and_hashes_and_no_host_or_path(name: str) -> None:
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    assert "--hash=sha256:" in text
    assert [word for word in ("://", "--index", "--extra-index", "--find-links", "file:") if word in text] == []


def test_the_front_end_lock_names_hashes_and_no_host() -> None:
    lock = json.loads((REPOSITORY / "static/package-lock.json").read_text(encoding="utf-8"))
    packages = [entry for name, entry in lock["packages"].items() if name]
    assert packages
    assert [entry for entry in packages if "integrity" not in entry or "resolved" in entry] == []


def test_the_test_lock_holds_every_version_of_the_runtime_lock() -> None:
    def pins(name: str) -> set[str]:
        """Without the machines that a version is for: the tests may need it on more of them."""
        lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
        return {line.rstrip(" \\").split(" ;")[0] for line in lines if "==" in line and line[0] not in " #"}

    assert pins("requirements.lock") <= pins("requirements-test.lock")


def test_the_closed_port_of_these_tests_is_closed() -> None:
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 9)) != 0
