"""The mirror's file: whose it is, when it is rebuilt, what is removed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from core.processes import ROOT
from core.runs.mirror.files import Place, connect, open_place
from core.runs.mirror.tables import create_all
from core.texts import t
from tests.mirrors import rows
from tests.servers import clean_environment
from tests.waiting import until

HOLDER = """
import sys, time
from pathlib import Path
from core.runs.mirror.files import open_place
place = open_place(Path(sys.argv[1]), "store")
place.connection.execute("CREATE TABLE IF NOT EXISTS mine (a INTEGER)")
place.connection.execute("INSERT INTO mine VALUES (1)")
print(place.path, flush=True)
sys.stdin.read()
"""


def close(place: Place) -> None:
    place.connection.close()
    place.release()


def filled(folder: Path) -> Path:
    """A sound file with a run in it, closed."""
    place = open_place(folder, "store")
    place.connection.execute(create_all())
    place.connection.execute(
        "INSERT INTO keys SELECT i, 'tag', repeat('x', 99) || i FROM range(9999) r(i)"
    )
    close(place)
    return place.path


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file of the store open."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=clean_environment(),
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_file_is_found_again(tmp_path: Path) -> None:
    path = filled(tmp_path)
    place = open_place(tmp_path, "store")
    assert (place.path, place.notice, place.own) == (path, "", False)
    assert rows(place.connection, "SELECT count(*) FROM keys") == [(9999,)]
    close(place)


def test_every_store_has_a_file_of_its_own(tmp_path: Path) -> None:
    one, other = open_place(tmp_path, "store"), open_place(tmp_path, "another")
    assert one.path != other.path
    assert "store" not in one.path.name
    close(one)
    close(other)


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "flipped", "a folder's worth of zeros"])
def test_a_damaged_file_is_built_again_with_a_notice(tmp_path: Path, damage: str) -> None:
    path = filled(tmp_path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "text": b"this is no database",
            "empty": b"",
            "cut": whole[:middle],
            "flipped": whole[:20_000]
            + bytes(b ^ 255 for b in whole[20_000:60_000])
            + whole[60_000:],
            "a folder's worth of zeros": bytes(len(whole)),
        }[damage]
    )
    place = open_place(tmp_path, "store")
    assert place.notice == t("mirror.notice.rebuilt")
    place.connection.execute(create_all())
    assert rows(place.connection, "SELECT count(*) FROM keys") == [(0,)]
    close(place)
    again = open_place(tmp_path, "store")
    assert again.notice == ""
    close(again)


def test_a_damaged_file_under_a_name_with_lock_in_it_is_built_again(tmp_path: Path) -> None:
    folder = tmp_path / "blocks"
    path = filled(folder)
    path.write_bytes(b"cats" * 5000)
    place = open_place(folder, "store")
    assert not place.own
    assert place.notice == t("mirror.notice.rebuilt")
    close(place)


def test_a_file_of_an_older_form_is_built_again(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with connect(path) as connection:
        connection.execute("UPDATE facts SET value = '0 ' || split_part(value, ' ', 2)")
    place = open_place(tmp_path, "store")
    assert place.notice == t("mirror.notice.rebuilt")
    close(place)


def test_a_database_of_somebody_else_is_built_again(tmp_path: Path) -> None:
    path = filled(tmp_path)
    path.unlink()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE cats (name VARCHAR)")
    place = open_place(tmp_path, "store")
    assert place.notice == t("mirror.notice.rebuilt")
    assert rows(place.connection, "SHOW TABLES") == [("facts",)]
    close(place)


def test_a_second_process_builds_its_own_and_removes_it(
    tmp_path: Path, other_process: "subprocess.Popen[str]"
) -> None:
    place = open_place(tmp_path, "store")
    assert place.own
    assert place.notice == t("mirror.notice.second")
    close(place)
    assert not place.path.exists()
    assert len(list(tmp_path.glob("*.lock"))) == 1


def test_a_file_is_free_again_after_its_process_was_killed(
    tmp_path: Path, other_process: "subprocess.Popen[str]"
) -> None:
    os.kill(other_process.pid, signal.SIGKILL)
    other_process.wait(30)
    place = open_place(tmp_path, "store")
    assert (place.own, place.notice) == (False, t("mirror.notice.rebuilt"))
    close(place)


def test_files_that_killed_processes_left_are_removed(
    tmp_path: Path, other_process: "subprocess.Popen[str]"
) -> None:
    script = HOLDER.replace("sys.stdin.read()", "import os; os.kill(os.getpid(), 9)")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_environment(),
        check=False,
    )
    left = Path(done.stdout.strip())
    assert left.exists()
    place = open_place(tmp_path, "store")
    until(lambda: not left.exists(), 5, "the file that was left to be removed")
    close(place)


def test_a_file_that_another_program_has_open_is_left_to_it(tmp_path: Path) -> None:
    path = filled(tmp_path)
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); "
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        place = open_place(tmp_path, "store")
        assert place.own
        close(place)
        program.communicate("")
    assert path.exists()
