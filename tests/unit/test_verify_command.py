"""`python -m core verify`: this home's record, and a file of exported lines."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.__main__ import main
from core.ledger import Ledger, chain
from core.ledger.chain import Entry
from core.ledger.exported import check_file
from core.ledger.schema import record
from core.lifecycle.deck import Deck, open_deck
from core.registry import heads
from core.settings import load
from tests.tampering import allow_changes

COUNT = 12
WORDS = "größer\u2028 than \x85 before"
"""With characters at which Python ends a line and JSON Lines does not."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    opened.migrate()
    write(opened)
    yield opened
    opened.close()


def write(ledger: Ledger) -> None:
    with ledger.transaction("testing") as connection:
        for n in range(COUNT):
            chain.append(connection, Entry("request.asked", "ada", model=f"m{n % 3}", why=WORDS))


def export(ledger: Ledger, file: Path, model: str | None = None) -> list[str]:
    """As the Ledger page saves it."""
    lines = chain.lines(ledger, model=model, newest_first=False, limit=None)
    rows = [
        {"number": x.number, "previous": x.previous, "hash": x.hash,
         "body": chain.canonical(x.at, x.entry)}
        for x in lines
    ]  # fmt: skip
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    texts.append(json.dumps({"head": str(chain.head(ledger) or "")}))
    save(file, texts)
    return texts


def save(file: Path, texts: list[str]) -> None:
    file.write_text("\n".join(texts) + "\n", "utf-8")


def test_a_whole_export_is_in_order(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "record.jsonl"
    export(ledger, file)
    assert main(["verify", str(file)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{COUNT} lines read: all are as they were written.")
    assert "not in this file" not in said
    assert str(chain.head(ledger)) in said


def test_a_filtered_export_has_gaps_which_are_said_and_accuse_nobody(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "record.jsonl"
    assert len(export(ledger, file, model="m1")) == COUNT // 3 + 1
    assert main(["verify", str(file)]) == 0
    assert f"{COUNT - COUNT // 3} lines of the record are not in this file" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("model", [None, "m1"])
def test_every_line_of_an_export_that_was_changed_is_named(
    ledger: Ledger, tmp_path: Path, model: str | None
) -> None:
    file = tmp_path / "record.jsonl"
    texts = export(ledger, file, model)
    for place, text in enumerate(texts[:-1]):
        number = json.loads(text)["number"]
        save(file, [*texts[:place], text.replace("ada", "bob"), *texts[place + 1 :]])
        assert number in [fault.number for fault in check_file(file).faults]


def test_lines_in_another_order_twice_or_no_lines_are_faults(
    ledger: Ledger, tmp_path: Path
) -> None:
    file = tmp_path / "record.jsonl"
    texts = export(ledger, file)
    for wrong in (
        [texts[1], texts[0], *texts[2:]],
        [texts[0], *texts],
        ["nonsense", *texts],
        ['{"number": "1"}', *texts[1:]],
        texts[:-1],
        [texts[0], texts[-1].replace(f"{COUNT}:", "1:")],
        [*texts[:-1], texts[-1].replace(f"{COUNT}:", "3:")],
        [""],
    ):
        save(file, wrong)
        assert not check_file(file).ok, wrong
    save(file, texts)
    assert check_file(file).ok


def test_an_export_of_nothing_is_in_order(tmp_path: Path) -> None:
    file = tmp_path / "record.jsonl"
    save(file, ['{"head": ""}'])
    assert check_file(file).ok


def test_a_file_that_cannot_be_read_is_neither(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tmp_path / "none.jsonl")]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.fixture
def deck(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deck]:
    monkeypatch.setenv("MODELDECK_HOME", str(home))
    opened = open_deck(load())
    write(opened.ledger)
    yield opened
    opened.ledger.close()


def test_the_record_of_this_home_is_verified(
    deck: Deck, capsys: pytest.CaptureFixture[str]
) -> None:
    heads.publish(deck.desk, chain.line(deck.ledger, COUNT))
    assert main(["verify"]) == 0
    said = capsys.readouterr().out
    assert f"{COUNT} lines read" in said
    assert "Compared with 1 head kept outside the ledger." in said
    allow_changes(deck.ledger)
    with deck.ledger.transaction("tampering") as connection:
        connection.execute(record.delete().where(record.c.number == COUNT))
    assert main(["verify"]) == 1
    told = capsys.readouterr().err
    assert f"ends at line {COUNT - 1}" in told
    assert "not as it was written" in told


@pytest.mark.parametrize("model", [None, "m1"])
def test_a_record_written_anew_with_all_its_heads_is_found_by_an_export_kept_elsewhere(
    deck: Deck, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str | None
) -> None:
    kept, changed = tmp_path / "kept.jsonl", 5
    export(deck.ledger, kept, model)
    assert main(["verify", "--against", str(kept)]) == 0
    deck.mlflow.registry.create_model("m1")
    lines = chain.lines(deck.ledger, newest_first=False, limit=None)
    allow_changes(deck.ledger)
    with deck.ledger.transaction("writing anew") as connection:
        connection.execute(record.delete().where(record.c.number >= changed))
        for line in lines[changed - 1 :]:
            why = "another" if line.number == changed else line.entry.why
            chain.append(connection, replace(line.entry, why=why))
    for file in home.glob("*.heads"):
        file.unlink()
    heads.publish(deck.desk, *chain.lines(deck.ledger, limit=None))
    heads.republish(deck.desk, deck.mlflow.registry.models(), [])
    assert main(["verify"]) == 0
    capsys.readouterr()
    assert main(["verify", "--against", str(kept)]) == 1
    told = capsys.readouterr().err
    exported = [json.loads(text) for text in kept.read_text("utf-8").split("\n")[:-2]]
    first = next(row["number"] for row in exported if row["number"] >= changed)
    assert told.startswith(f"Line {first} is not the one that the export kept.jsonl remembers")
    assert f"Line {first - 1} " not in told


def test_a_record_that_is_shorter_than_an_export_and_a_file_that_is_none_are_said(
    deck: Deck, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.jsonl"
    texts = export(deck.ledger, kept)
    allow_changes(deck.ledger)
    with deck.ledger.transaction("cutting") as connection:
        connection.execute(record.delete().where(record.c.number > COUNT - 2))
    assert main(["verify"]) == 0
    assert main(["verify", "--against", str(kept)]) == 1
    assert f"ends at line {COUNT - 2}, but the export kept.jsonl says" in capsys.readouterr().err
    save(kept, ["nonsense", *texts[: COUNT - 2]])
    assert main(["verify", "--against", str(kept)]) == 1
    assert "kept.jsonl should hold a head of the record" in capsys.readouterr().err
    assert main(["verify", "--against", str(tmp_path / "none.jsonl")]) == 2
