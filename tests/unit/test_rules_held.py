"""The rules while Modeldeck runs: a file that changes, breaks, goes and comes back."""

from pathlib import Path

import pytest

from core.__main__ import main
from core.lifecycle.rules import held
from core.registry.policy import RULES
from core.settings import BadSetting, load


def test_a_change_holds_at_once_and_a_broken_one_leaves_the_last_good_rules(tmp_path: Path) -> None:
    settings = load({"MODELDECK_HOME": str(tmp_path)})
    file = tmp_path / "desk.yaml"
    assert (held(settings).rules, held(settings).fault) == (RULES, "")
    file.write_text("groups: {one: [a]}")
    assert set(held(settings).rules.groups) == {"one"}
    file.write_text("groups: {three: [a]}")
    assert set(held(settings).rules.groups) == {"three"}
    file.write_text("grups: {four: [a]}")
    assert set(held(settings).rules.groups) == {"three"}
    assert held(settings).fault.startswith("desk.yaml line 1, column 1: there is no key grups")
    file.write_text("groups: {fifth: [a]}")
    assert (set(held(settings).rules.groups), held(settings).fault) == ({"fifth"}, "")


def test_a_file_that_is_taken_away_does_not_loosen_the_rules(tmp_path: Path) -> None:
    settings = load({"MODELDECK_HOME": str(tmp_path)})
    file = tmp_path / "desk.yaml"
    file.write_text("groups: {one: [a]}")
    assert set(held(settings).rules.groups) == {"one"}
    file.unlink()
    assert set(held(settings).rules.groups) == {"one"}
    assert "is gone" in held(settings).fault
    file.write_text("groups: {two: [a]}")
    assert (set(held(settings).rules.groups), held(settings).fault) == ({"two"}, "")


def test_a_gate_file_that_changes_is_read_again(tmp_path: Path) -> None:
    from tests.unit.test_gates import OWN, own_folder

    settings = load({"MODELDECK_HOME": str(tmp_path)})
    assert "freeze" not in held(settings).rules.gates
    own_folder(tmp_path / "gates", freeze=OWN)
    assert "freeze" in held(settings).rules.gates
    (tmp_path / "gates" / "freeze.py").write_text("def (")
    assert "freeze" in held(settings).rules.gates
    assert "SyntaxError" in held(settings).fault


def test_a_file_that_is_broken_at_the_start_ends_it(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text("rulez: []")
    with pytest.raises(BadSetting, match="line 1, column 1"):
        held(load({"MODELDECK_HOME": str(tmp_path)}))


def test_the_command_line_checks_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELDECK_HOME", str(tmp_path))
    assert main(["rules"]) == 0
    assert "what is built in holds" in capsys.readouterr().out
    bad = tmp_path / "bad.yaml"
    bad.write_text("rulez: []\ngrups: {}")
    assert main(["rules", str(bad)]) == 1
    said = capsys.readouterr().err
    assert "bad.yaml line 2, column 1" in said
    assert "2 faults: nothing of the file holds." in said
    good = tmp_path / "good.yaml"
    good.write_text("rules:\n  - {models: 'a*', rung: Staging, decide: [anna], approvals: 0}\n")
    assert main(["rules", str(good)]) == 0
    out = capsys.readouterr().out
    assert "Warning: good.yaml line 2" in out
    assert "a* to Staging: 0 approvals; no gates" in out
