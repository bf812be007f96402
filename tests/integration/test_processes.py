"""Processes of this machine: started, known again, never mixed up, ended with all they started."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from core import processes
from core.processes import (
    CHILD_MARK,
    Ending,
    ProcessRef,
    alive,
    clean_environment,
    find_child,
    kill_leftovers,
    read_ending,
    reap,
    signal_group,
    start,
    tail,
    this_process,
)
from tests.servers import Server, group_members
from tests.waiting import until

SECONDS = 30.0

WAIT = "import threading; print('ready', flush=True); threading.Event().wait()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + WAIT
LEAVES_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], start_new_session=sys.argv[2] == "y")
print("child", child.pid, flush=True)
"""


class Bench:
    """Starts children, and ends them when the test is over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log.txt"
        self.ending = folder / "ending.json"
        self.refs: list[tuple[ProcessRef, str]] = []

    def run(self, *words: str, mark: str = "mark-1", **variables: str) -> ProcessRef:
        """Start ``python -c WORDS`` under the launcher."""
        ref = start(
            [sys.executable, "-c", *words],
            env=clean_environment(variables, child_of=mark),
            cwd=self.folder,
            log=self.log,
            ending=self.ending,
        )
        self.refs.append((ref, mark))
        return ref

    def said(self, word: str) -> str:
        """The line of the log that begins with ``word``."""
        lines = until(
            lambda: [line for line in tail(self.log).splitlines() if line.startswith(word)],
            SECONDS,
            f"the child to say {word}",
        )
        return lines[0]

    def ended(self) -> Ending:
        """How the child ended, once it has."""
        ending = until(lambda: read_ending(self.ending), SECONDS, "the ending")
        until(lambda: not alive(self.refs[-1][0]), SECONDS, "the launcher to end")
        return ending

    def close(self) -> None:
        for ref, mark in self.refs:
            signal_group(ref, signal.SIGKILL)
            kill_leftovers(ref, mark)
        until(lambda: not any(alive(ref) for ref, _ in self.refs), SECONDS, "all to end")
        reap()


@pytest.fixture
def bench(home: Path) -> Iterator[Bench]:
    made = Bench(home)
    yield made
    made.close()


# ---------------------------------------------------------------------------------- start, end


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("pass", 0),
        ("import sys; sys.exit(3)", 3),
        ("raise SystemExit('no')", 1),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os.kill(os.getpid(), 15)", -15),
    ],
)
def test_the_exit_code_is_written_down(bench: Bench, script: str, code: int) -> None:
    bench.run(script)
    assert bench.ended().exit_code == code


def test_a_command_that_is_not_there(bench: Bench) -> None:
    env = clean_environment({}, child_of="x")
    ref = start(["/no/such/program"], env=env, cwd=bench.folder, log=bench.log, ending=bench.ending)
    bench.refs.append((ref, "x"))
    assert bench.ended().exit_code == 127
    assert "could not be started" in tail(bench.log)


def test_an_earlier_ending_is_not_taken_for_the_new_one(bench: Bench) -> None:
    bench.run("import sys; sys.exit(3)")
    assert bench.ended().exit_code == 3
    bench.run(WAIT)
    assert read_ending(bench.ending) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"exit_code": null, "at": 1}', "{}"])
def test_half_an_ending_is_none(home: Path, text: str) -> None:
    (home / "ending.json").write_text(text)
    assert read_ending(home / "ending.json") is None


def test_a_stop_reaches_the_whole_group_and_the_launcher_tells_of_it(bench: Bench) -> None:
    ref = bench.run(LEAVES_CHILD + WAIT, WAIT, "n")
    bench.said("ready")
    assert len(group_members(ref.pid)) == 3
    assert signal_group(ref, signal.SIGTERM)
    assert bench.ended().exit_code == -15
    assert group_members(ref.pid) == []


def test_a_stop_at_the_first_moment_leaves_nothing(bench: Bench) -> None:
    for _ in range(8):
        ref = bench.run(STUBBORN)
        until(lambda ref=ref: group_members(ref.pid), SECONDS)  # type: ignore[misc]
        signal_group(ref, signal.SIGTERM)
        signal_group(ref, signal.SIGKILL)
        until(lambda ref=ref: not group_members(ref.pid), SECONDS)  # type: ignore[misc]
        reap()


def test_who_ignores_the_stop_is_killed_with_the_group(bench: Bench) -> None:
    ref = bench.run(STUBBORN)
    bench.said("ready")
    signal_group(ref, signal.SIGTERM)
    assert alive(ref)
    signal_group(ref, signal.SIGKILL)
    until(lambda: not group_members(ref.pid), SECONDS, "the group to end")
    assert read_ending(bench.ending) is None, "nobody was left to write it"


# ----------------------------------------------------------------------------- known again


def test_a_process_is_known_by_pid_and_start(bench: Bench) -> None:
    ref = bench.run(WAIT)
    assert alive(ref)
    assert not alive(replace(ref, started=ref.started - 1))
    assert not alive(replace(ref, started=ref.started + 0.2))
    assert not alive(ProcessRef(2**22 + 1, ref.started))
    assert alive(this_process())


def test_a_zombie_is_not_alive(bench: Bench) -> None:
    ref = bench.run("pass")
    until(lambda: not alive(ref), SECONDS, "the process to end")
    assert psutil.Process(ref.pid).status() == psutil.STATUS_ZOMBIE
    reap()
    assert not psutil.pid_exists(ref.pid)


def test_a_clock_that_is_set_makes_no_stranger_of_a_child(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = bench.run(WAIT)
    before = psutil.Process(ref.pid).create_time()
    if psutil.LINUX:  # other systems keep a process's start as a time of day
        genuine = psutil._pslinux.boot_time
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: genuine() + 3600)
        assert psutil.Process(ref.pid).create_time() == pytest.approx(before + 3600)
    assert alive(ref)


def test_a_child_is_found_by_its_mark(bench: Bench) -> None:
    ref = bench.run(LEAVES_CHILD + WAIT, WAIT, "n", mark="mark-7")
    bench.said("ready")
    assert find_child("mark-7") == ref
    assert find_child("mark-8") is None
    signal_group(ref, signal.SIGKILL)
    until(lambda: find_child("mark-7") is None, SECONDS, "the child to be gone")


# ---------------------------------------------------------------------------- what is left over


@pytest.fixture
def stranger(home: Path) -> Iterator[Server]:
    """Somebody else's process, leader of a group of its own."""
    other = Server(home / "stranger.txt")
    other.launch([sys.executable, "-c", WAIT], dict(os.environ))
    until(lambda: "ready" in other.output(), SECONDS)
    yield other
    other.end()


def test_a_number_that_is_somebody_elses_now_is_left_alone(stranger: Server) -> None:
    ref = ProcessRef(stranger.pid, 1.0)
    assert not signal_group(ref, signal.SIGKILL)
    kill_leftovers(ref, "mark-1")
    assert stranger.process is not None
    assert stranger.process.poll() is None


def test_only_the_mark_tells_it_from_our_own(
    stranger: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_marked", lambda _: [stranger.pid])
    kill_leftovers(ProcessRef(stranger.pid, 1.0), "mark-1")
    assert stranger.process is not None
    assert stranger.process.wait(SECONDS) == -signal.SIGKILL


@pytest.mark.parametrize("own_session", ["n", "y"])
def test_children_of_a_child_that_has_ended_are_ended(bench: Bench, own_session: str) -> None:
    ref = bench.run(LEAVES_CHILD, STUBBORN, own_session)
    left = int(bench.said("child").split()[1])
    assert bench.ended().exit_code == 0
    bench.said("ready")
    assert psutil.pid_exists(left)
    kill_leftovers(ref, "mark-1")
    until(lambda: gone(left), SECONDS, "what was left to end")


def test_what_shed_the_mark_goes_with_its_group(bench: Bench) -> None:
    script = (
        "import subprocess, sys\n"
        "for env in ({}, None):\n"
        "    subprocess.Popen([sys.executable, '-c', sys.argv[1]], env=env)\n"
    )
    ref = bench.run(script, STUBBORN)
    assert bench.ended().exit_code == 0
    until(lambda: tail(bench.log).count("ready") == 2, SECONDS)
    assert len(group_members(ref.pid)) == 2
    kill_leftovers(ref, "mark-1")
    until(lambda: not group_members(ref.pid), SECONDS, "the group to end")


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# --------------------------------------------------------------------------------- environment


def test_a_child_has_no_credentials(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = [
        "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD",
        "GITHUB_TOKEN", "MODELDECK_LEDGER_URI", "SSH_AUTH_SOCK", "HTTPS_PROXY", "PYTHONPATH",
        "LD_PRELOAD",
    ]  # fmt: skip
    for name in secrets:
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("LANG", "C.UTF-8")
    ref = bench.run(WAIT, GIVEN="this")
    bench.said("ready")
    for process in group_members(ref.pid):
        env = process.environ()
        assert "hunter2" not in env.values()
        assert (env["GIVEN"], env["LANG"], env[CHILD_MARK]) == ("this", "C.UTF-8", "mark-1")
        assert env["PATH"].startswith(str(Path(sys.executable).parent))


def test_a_child_has_no_file_of_ours_open(bench: Bench, home: Path) -> None:
    with (home / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        ref = bench.run(WAIT)
        bench.said("ready")
        for process in group_members(ref.pid):
            assert str(home / "secret") not in [opened.path for opened in process.open_files()]
            assert process.terminal() is None or os.getsid(process.pid) == ref.pid


# ----------------------------------------------------------------------------------------- log


@pytest.mark.parametrize(
    ("content", "most", "text"),
    [
        (b"", 10, ""),
        (b"one\ntwo\n", 100, "one\ntwo\n"),
        (b"one\ntwo\nthree\n", 10, "three\n"),
        (b"\xff\xfe ok\n", 100, "\ufffd\ufffd ok\n"),
        ("größe\n".encode(), 100, "größe\n"),
    ],
)
def test_the_end_of_a_log(home: Path, content: bytes, most: int, text: str) -> None:
    (home / "log.txt").write_bytes(content)
    assert tail(home / "log.txt", most) == text


def test_no_log_yet(home: Path) -> None:
    assert tail(home / "log.txt") == ""


def test_nothing_is_left_behind() -> None:
    own = psutil.Process()
    marked: Callable[[psutil.Process], bool] = lambda p: CHILD_MARK in p.environ()  # noqa: E731
    alive = [p for p in own.children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
    left = [p for p in alive if p.is_running() and marked(p)]
    assert left == []
