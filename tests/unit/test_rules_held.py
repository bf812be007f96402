"""The desk's rules while Modeldeck runs: a good change holds at once, a bad one changes nothing."""

from pathlib import Path

import pytest

from core.lifecycle.rules import held
from core.registry.rules_file import load_rules
from core.settings import BadSetting, load

GOOD = "rules: [{models: '*', rung: Production, approvals: 2, decide: [ann]}]\n"
BETTER = "rules: [{models: '*', rung: Production, approvals: 3, decide: [ann, bob, eve, kim]}]\n"


def test_a_changed_file_holds_at_once_and_a_faulty_one_never(home: Path) -> None:
    settings = load({"MODELDECK_HOME": str(home)})
    file = home / "desk.yaml"
    file.write_text(GOOD)
    assert held(settings).rules.policy("m", "Production").approvals == 2
    assert held(settings) is held(settings), "it is read again only when it changed"
    file.write_text(BETTER)
    assert held(settings).rules.policy("m", "Production").approvals == 3
    for spoil in (lambda: file.write_text("rules: [\n"), file.unlink):
        spoil()
        now = held(settings)
        assert now.rules.policy("m", "Production").approvals == 3
        assert now.fault
    assert load_rules(settings).policy("m", "Production").approvals == 1, "what would have held"
    file.write_text(GOOD)
    assert held(settings).rules.policy("m", "Production").approvals == 2
    assert not held(settings).fault


def test_a_file_that_is_faulty_from_the_start_ends_the_start(home: Path) -> None:
    (home / "desk.yaml").write_text("rules: [\n")
    with pytest.raises(BadSetting):
        held(load({"MODELDECK_HOME": str(home)}))
