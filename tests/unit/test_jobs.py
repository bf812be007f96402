"""Jobs in the queue: who gets which, what may still happen to them, how they ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import InvalidInput, NotFound
from core.ledger import Ledger
from core.people import Actor
from core.training import data, jobs
from core.training.jobs import Job, Progress

ADA = Actor("ada")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    opened.migrate()
    yield opened
    opened.close()


def queue(ledger: Ledger, number: int) -> list[str]:
    """Put ``number`` jobs without runs in the queue; their ids, oldest first."""
    made = []
    for n in range(number):
        job_id = f"{n:032x}"
        jobs.QUEUE.add(
            ledger, by="ada", id=job_id, state=jobs.QUEUED, project="tabular",
            entry_point="main", title=f"try {n}", params={},
        )  # fmt: skip
        made.append(job_id)
    return made


def claimed(ledger: Ledger, owner: str, token: int = 1) -> Job:
    job = jobs.claim(ledger, owner, token)
    assert job is not None
    return job


# -------------------------------------------------------------------------------------- queue


def test_the_job_that_has_waited_longest_comes_first(ledger: Ledger) -> None:
    made = queue(ledger, 3)
    assert [claimed(ledger, "w").id for _ in made] == made
    assert jobs.claim(ledger, "w", 1) is None
    assert [job.id for job in jobs.owned(ledger, "w")] == made
    assert [job.id for job in jobs.recent(ledger, 2)] == made[:0:-1]


def test_what_is_claimed_is_nobody_elses(ledger: Ledger) -> None:
    queue(ledger, 1)
    job = claimed(ledger, "w", 7)
    assert (job.state, job.claimed_by, job.claim_token) == (jobs.STARTING, "w", 7)
    assert jobs.claim(ledger, "other", 1) is None
    assert jobs.owned(ledger, "other") == []


def test_a_stop_in_the_queue_needs_no_slot_and_is_never_started(ledger: Ledger) -> None:
    first, second = queue(ledger, 2)
    jobs.request_stop(ledger, first, "bob")
    assert claimed(ledger, "w").id == second
    jobs.claim_withdrawn(ledger, "w", 1)
    withdrawn = jobs.get(ledger, first)
    assert withdrawn.withdrawn
    assert withdrawn.open
    assert not jobs.get(ledger, second).withdrawn


def test_the_first_to_ask_for_a_stop_is_the_one_who_is_named(ledger: Ledger) -> None:
    (made,) = queue(ledger, 1)
    jobs.request_stop(ledger, made, "bob")
    jobs.request_stop(ledger, made, "eve")
    assert jobs.get(ledger, made).stop_requested_by == "bob"


def test_a_stop_of_what_has_ended_changes_nothing(ledger: Ledger) -> None:
    queue(ledger, 1)
    job = jobs.update(ledger, claimed(ledger, "w"), state=jobs.FINISHED)
    jobs.request_stop(ledger, job.id, "bob")
    assert jobs.get(ledger, job.id).stop_requested_at is None


def test_a_worker_that_was_followed_by_another_writes_no_more(ledger: Ledger) -> None:
    queue(ledger, 1)
    before = claimed(ledger, "w", 1)
    jobs.adopt(ledger, "w", 2)
    with pytest.raises(NotFound, match="Another worker has taken over"):
        jobs.update(ledger, before, state=jobs.FAILED)
    (after,) = jobs.owned(ledger, "w")
    assert jobs.update(ledger, after, state=jobs.FINISHED).state == jobs.FINISHED


def test_adoption_leaves_alone_what_has_ended_and_what_is_anothers(ledger: Ledger) -> None:
    queue(ledger, 3)
    done = jobs.update(ledger, claimed(ledger, "w"), state=jobs.FINISHED)
    theirs = claimed(ledger, "other", 5)
    mine = claimed(ledger, "w")
    jobs.adopt(ledger, "w", 9)
    tokens = [jobs.get(ledger, job.id).claim_token for job in (done, theirs, mine)]
    assert tokens == [1, 5, 9]


def test_the_sample_is_queued_once(ledger: Ledger) -> None:
    first = jobs.submit_sample(ledger, ADA)
    assert jobs.submit_sample(ledger, ADA).id == first.id
    jobs.update(ledger, claimed(ledger, "w"), state=jobs.STOPPED)
    assert jobs.submit_sample(ledger, ADA).id != first.id


@pytest.mark.parametrize("job_id", ["", "nothing", "'; drop table jobs", "x" * 5000])
def test_a_job_that_is_not_there_is_said_so(ledger: Ledger, job_id: str) -> None:
    with pytest.raises(NotFound) as refusal:
        jobs.get(ledger, job_id)
    assert len(refusal.value.what) < 100


# --------------------------------------------------------------------------------------- ends


@pytest.mark.parametrize(
    ("code", "run", "asked", "state"),
    [
        (0, "FINISHED", False, jobs.FINISHED),
        (0, "RUNNING", False, jobs.FINISHED),
        (0, None, False, jobs.FINISHED),
        (0, "FINISHED", True, jobs.FINISHED),  # it was done before the stop came
        (1, "FAILED", False, jobs.FAILED),
        (1, "RUNNING", False, jobs.FAILED),
        (-9, "RUNNING", False, jobs.FAILED),
        (143, "KILLED", True, jobs.STOPPED),
        (-9, "RUNNING", True, jobs.STOPPED),
        (None, "FINISHED", False, jobs.FINISHED),  # nobody saw the process end, but MLflow did
        (None, "RUNNING", False, jobs.FAILED),
        (None, None, False, jobs.FAILED),
        (None, None, True, jobs.STOPPED),
    ],
)
def test_how_a_job_ended(code: int | None, run: str | None, asked: bool, state: str) -> None:
    assert jobs.outcome(code, run, stop_requested=asked) == state


@pytest.mark.parametrize(
    ("log", "progress"),
    [
        ("", None),
        ("no word of it", None),
        ("progress 3/8 Fold 3", Progress(3, 8, "Fold 3")),
        ("progress 1/8 a\nprogress 2/8 b\nanything", Progress(2, 8, "b")),
        ("progress 1/8 a\nprogress 2/8", Progress(1, 8, "a")),  # half a line is not read yet
        ("  progress 1/8 a", None),
        ("progress x/8 a", None),
    ],
)
def test_progress_is_read_from_the_log(log: str, progress: Progress | None) -> None:
    assert jobs.progress(log) == progress


# -------------------------------------------------------------------------------------- files


def test_an_upload_is_kept_under_a_harmless_name(home: Path) -> None:
    kept = data.keep(home, "../../e vil;$(x).CSV", b"a\n1\n", 100)
    assert kept.parent == home
    assert kept.read_bytes() == b"a\n1\n"
    assert data.keep(home, "../../e vil;$(x).CSV", b"a\n1\n", 100) == kept
    assert data.keep(home, "../../e vil;$(x).CSV", b"a\n2\n", 100) != kept
    assert sorted(data.files(home)) == sorted(home.iterdir())
    assert all(f.name.startswith("e-vil-x-") and f.suffix == ".csv" for f in home.iterdir())


@pytest.mark.parametrize("name", ["..csv", "/.csv", "....parquet", "名前.csv", ".csv"])
def test_a_name_without_letters_is_given_one(home: Path, name: str) -> None:
    assert data.keep(home, name, b"x", 100).name.startswith("data-")


@pytest.mark.parametrize("name", ["table.xlsx", "table", "table.csv.exe", ""])
def test_other_files_are_refused(home: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        data.keep(home, name, b"x", 100)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.csv", b"x,y\n1,2\n", ["x", "y"]),
        ("b.csv", b"\xef\xbb\xbfx;y\n1;2\n", ["x", "y"]),
        ("c.csv", b"\xff\xfe\x00", []),
        ("d.csv", b"", []),
        ("e.parquet", b"no parquet", []),
        ("gone.csv", None, []),
    ],
)
def test_columns_are_read_where_they_can_be(
    home: Path, name: str, content: bytes | None, columns: list[str]
) -> None:
    if content is not None:
        (home / name).write_bytes(content)
    assert data.columns(home / name) == columns
