"""docs/desk.md and the example say what the code takes, no more and no less."""

import re
from pathlib import Path

from core.processes import ROOT
from core.registry import ladder_file, rules_file
from core.registry.gates import all_gates, with_own
from core.registry.gates.options import kinds
from core.registry.policy import RULES
from core.registry.rules_file import read_rules

DOCUMENT = (ROOT / "docs" / "desk.md").read_text("utf-8")
EXAMPLE = ROOT / "docs" / "desk.example.yaml"
SECTION = re.compile(r"^## (.+?)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
OPTION = re.compile(r"^\| `(\w+)` `(\w+)` \| .+ \| (.+) \|$", re.MULTILINE)


def rows(section: str) -> list[str]:
    return ROW.findall(dict(SECTION.findall(DOCUMENT))[section])


def test_every_key_is_documented() -> None:
    assert rows("The file") == list(rules_file.SECTIONS)
    assert sorted(rows("ladder")) == sorted([*ladder_file.SECTION, *ladder_file.RUNG])
    assert rows("rules") == list(rules_file.RULE)
    assert rows("permissions") == list(rules_file.PERMISSION)
    assert sorted(rows("Gates")) == sorted([*rules_file.USE, *all_gates()])


def test_every_option_of_every_gate_is_documented_with_what_holds_without_it() -> None:
    documented = {(gate, option): usual for gate, option, usual in OPTION.findall(DOCUMENT)}
    code = {
        (name, o): kind for name, gate in all_gates().items() for o, kind in kinds(gate).items()
    }
    assert set(documented) == set(code)
    for place, kind in code.items():
        if kind.required:
            usual = "needed"
        elif kind.default in (None, ()):
            usual = "none"
        elif isinstance(kind.default, tuple):
            usual = ", ".join(kind.default)
        elif isinstance(kind.default, bool):
            usual = str(kind.default).lower()
        else:
            usual = f"{kind.default:g}" if kind.type is float else str(kind.default)
        assert documented[place] == usual, place


def test_the_example_is_read_without_fault_or_warning() -> None:
    found = read_rules(EXAMPLE.read_bytes(), "desk.example.yaml", "mlflow")
    assert (found.faults, found.warnings) == ((), ())
    assert found.rules is not None
    assert found.rules.policy("fraud-cards", "Production").approvals == 2
    used = {use.gate for rule in found.rules.rules for use in rule.policy.gates}
    assert used == set(all_gates())


def test_the_built_in_rule_is_as_described() -> None:
    assert [(rule.models, rule.rung, rule.policy.approvals) for rule in RULES.rules] == [
        ("*", "Production", 1)
    ]


def test_the_strangers_gate_of_the_document_works(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert code is not None
    folder = tmp_path / "gates"
    folder.mkdir(mode=0o755)
    (folder / "freeze.py").write_text(code[1])
    assert "freeze" in with_own(folder)
