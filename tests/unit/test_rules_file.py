"""The desk's file: what it may say, and that everything wrong with it is said at once."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.people import Actor
from core.people.patterns import fits
from core.registry.marked import MOST_BYTES
from core.registry.policy import RULES, Rule, Rules, UnknownRegistrant
from core.registry.rules_file import check, covers, load_rules, read_rules
from core.settings import BadSetting, load

LADDER_TEXT = """\
ladder:
  tag: team.rung
  retired: archived
  rungs:
    - name: None
    - {name: QA, stage: staging, alias: qa, exclusive: true}
    - name: Staging
      stage: Staging
      alias: challenger
      exclusive: yes
    - {name: Production, stage: Production, alias: champion, exclusive: true}
    - {name: Archived, stage: Archived}
"""
GOOD = (
    LADDER_TEXT
    + """\
groups:
  leads: [anna, ben]
administrators: [root, "group:leads"]
rules:
  - models: fraud-*
    rung: production
    ask: group:leads
    decide: [group:leads, carla]
    approvals: 2
    lives: 36 hours
    archive_earlier: false
    unknown_registrant: block
    gates:
      - gate: metric_threshold
        level: block
        metric: auc
        at_least: 0.8
      - {gate: code_in_artifact, level: warn, allow: [code/*]}
  - {models: "*", rung: QA}
"""
)


def read(text: str, identity: str = "mlflow") -> Rules:
    found = read_rules(text.encode(), "desk.yaml", identity)
    assert found.faults == ()
    assert found.rules is not None
    return found.rules


def faults(text: str, identity: str = "mlflow") -> list[str]:
    """What is wrong, without the file's name."""
    found = read_rules(text.encode(), "/etc/desk.yaml", identity)
    assert found.rules is None
    assert all(fault.startswith("desk.yaml") for fault in found.faults)
    return [fault.removeprefix("desk.yaml ") for fault in found.faults]


def rule(text: str) -> str:
    """A file with one rule for Production, in line 2 and after."""
    return f"rules:\n  - models: '*'\n    rung: Production\n{text}"


def test_everything_that_a_file_may_say() -> None:
    rules = read(GOOD)
    assert [r.name for r in rules.ladder.rungs] == [
        "None", "QA", "Staging", "Production", "Archived",
    ]  # fmt: skip
    assert rules.ladder.rung("QA").stage == "Staging"
    assert (rules.ladder.retired, rules.ladder.tag) == ("Archived", "team.rung")
    assert rules.ladder.top.name == "Production"
    assert rules.groups == {"leads": ("anna", "ben")}
    assert rules.groups_of("ben") == {"leads"}
    assert rules.administrators == ("root", "group:leads")
    policy = rules.policy("fraud-cards", "Production")
    assert policy.ask == ("group:leads",)
    assert (policy.approvals, policy.lives) == (2, timedelta(hours=36))
    assert policy.archive_earlier is False
    assert policy.unknown_registrant is UnknownRegistrant.BLOCK
    assert [(u.gate, u.level.value, dict(u.options)) for u in policy.gates] == [
        ("metric_threshold", "block", {"metric": "auc", "at_least": 0.8}),
        ("code_in_artifact", "warn", {"allow": ["code/*"]}),
    ]
    assert policy.may_decide(Actor("carla", "mlflow"))
    assert policy.may_decide(Actor("dora", "mlflow", groups=frozenset({"leads"})))
    assert not policy.may_decide(Actor("dora", "mlflow"))
    assert rules.rules[0].line == 17
    assert rules.policy("wine", "Production").approvals == 0
    assert len(rules.digest) == 64


@pytest.mark.parametrize("text", ["", "# nothing\n", "ladder:\n"])
def test_what_a_file_does_not_say_is_as_built_in(text: str) -> None:
    rules = read(text)
    assert rules.ladder == RULES.ladder
    assert rules.rules == RULES.rules
    assert read("rules: []\n").rules == ()


def test_on_a_ladder_without_production_its_highest_rung_must_be_asked_for() -> None:
    live = "ladder: {rungs: [name: None, {name: Live, exclusive: true}, name: Archived]}"
    rules = read(live)
    assert [(r.rung, r.policy.approvals) for r in rules.rules] == [("Live", 1)]
    assert "names nobody who decides" in warnings(live)[0]
    assert warnings(live, "local") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rulez: []", "line 1, column 1: there is no key rulez; did you mean rules?"),
        ("colour: 1", "line 1, column 1: there is no key colour; there are ladder, groups,"),
        ("- a", "line 1, column 1: the file must be keys with values"),
        ("rules: {a: 1}", "line 1, column 8: rules must be a list"),
        ("rules: [a]", "line 1, column 9: a rule must be keys with values"),
        ("groups: {a: [b]}\ngroups: {}", "line 2, column 1: groups stands here again; it is in"),
        ("groups: {a: [group:b]}", "group:b cannot be a member of a group: name persons"),
        ("groups:\n  a: [[b]]", "line 2, column 7: the members of a must be a text"),
        ("? [a]\n: b", "line 1, column 3: a key must be plain text"),
        ("rules:\n\t- a", "line 2, column 1: there is a tab; YAML is indented with blanks"),
        ("rules: [", "this is no YAML"),
        ("a: 1\n---\nb: 1", "line 2, column 1: there is a second document"),
        ("groups: {a: &x [b], c: *x}", "line 1, column 13: anchors (&) and references (*) are not"),
        ("groups: " + "[" * 30 + "]" * 30, "this is nested too deeply"),
        ("groups: " + "[" * 5000, "this is nested too deeply"),
        ("administrators: [group:x]", "line 1, column 18: there is no group x under groups; there"),
        ("administrators: ['a\\nb']", None),
        ('administrators: ["a\\nb"]', "administrators must be one line of at most 200 characters"),
        ("ladder: {}", "line 1, column 9: rungs is missing"),
        ("ladder: {rungs: []}", "the first rung is where new versions stand"),
        (rule("    aprovals: 1"), "line 4, column 5: there is no key aprovals; did you mean appr"),
        (rule("    approvals: 1.5"), "line 4, column 16: approvals must be a whole number from 0"),
        (rule("    approvals: true"), "line 4, column 16: approvals must be a whole number from"),
        (rule("    approvals: '1'"), "line 4, column 16: approvals must be a whole number from"),
        (rule("    lives: 14"), "line 4, column 12: lives must be a time such as 12 hours, 14 day"),
        (rule("    lives: 3 years"), "line 4, column 12: lives must be a time"),
        (rule("    lives: 0 days"), "line 4, column 12: lives must be a time"),
        (rule("    archive_earlier: perhaps"), "column 22: archive_earlier must be true or false"),
        (rule("    unknown_registrant: blok"), "did you mean block?"),
        (rule("    decide: [anna]\n    approvals: 2"), "2 must approve, and only 1 may decide"),
        (rule("    decide: [anna, anna]\n    approvals: 2"), "2 must approve, and only 1 may"),
        (rule("    approvals: 1"), "1 must approve, and only 0 may decide"),
        (rule("    gates: [{gate: drift}]"), "line 4, column 13: level is missing"),
        (rule("    gates: [{gate: drft, level: warn}]"), "did you mean drift?"),
        (rule("    gates: [{gate: drift, level: wern}]"), "one of block, warn, inform; did you"),
        (rule("    gates: [{gate: drift, level: warn, psi: 1}]"), "drift has no option psi"),
        (rule("    gates: [{gate: age, level: warn}]"), "training_days or data_days is needed"),
        (
            rule("    gates: [{gate: metric_threshold, level: warn, at_least: 1}]"),
            "metric_threshold needs metric: text",
        ),
        (
            rule("    gates: [{gate: metric_threshold, level: warn, metric: m, at_leest: 1}]"),
            "column 62: metric_threshold has no option at_leest; did you mean at_least?",
        ),
        (
            rule("    gates: [{gate: age, level: warn, data_days: .nan}]"),
            "line 4, column 38: data_days must be a number, not nan",
        ),
        (
            rule("    gates: [{gate: card_complete, level: warn, fields: [owner, purpse]}]"),
            "line 4, column 13: card_complete: the model card has no field purpse; its fields are",
        ),
        ("rules: [{rung: Production}]", "line 1, column 9: models is missing"),
        ("rules: [{models: '*', rung: Gold}]", "the ladder has no rung Gold; it has None, Stag"),
    ],
)  # fmt: skip
def test_a_fault_names_its_place_and_what_would_do(text: str, said: str | None) -> None:
    if said is None:
        read(text)
        return
    found = faults(text)
    assert len(found) == 1 or "anchors" in said
    assert said in found[0]


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("name: QA, ", "name: staging, ", "line 7, column 7: there are two rungs called Staging"),
        ("alias: qa", "alias: champion", "line 11, column 7: two rungs have the alias champion"),
        ("alias: qa", "alias: v3", "line 6, column 41: 'v3' cannot be an alias"),
        ("alias: qa", "alias: a b", "line 6, column 41: 'a b' cannot be an alias"),
        ("stage: staging", "stage: Stagin", "line 6, column 25: stage must be one of None, Stag"),
        ("retired: archived", "retired: Staging", "line 3, column 12: earlier holders go to Stag"),
        ("retired: archived", "retired: Attic", "line 3, column 12: retired names Attic, which is"),
        ("tag: team.rung", "tag: mlflow.rung", "line 2, column 8: tag must be a key that MLflow"),
        ("tag: team.rung", "tag: team§rung", "line 2, column 8: tag must be a key that MLflow"),
        ("- name: None", "- {name: None, alias: a}", "the first rung is where new versions stand"),
        ("true", "false", None),
    ],
)
def test_a_ladder_that_could_not_be_climbed(line: str, instead: str, said: str | None) -> None:
    assert line in LADDER_TEXT
    text = LADDER_TEXT.replace(line, instead)
    if said is None:
        text = text.replace("yes", "no")
        said = "at least one rung must be exclusive"
    found = faults(text)
    assert len(found) == 1
    assert said in found[0]


def test_all_faults_are_told_at_once_in_the_files_order() -> None:
    text = GOOD.replace("stage: staging", "stage: x").replace("36 hours", "ever")
    text = text.replace("level: warn", "level: loud") + "extra: 1\n"
    found = faults(text)
    assert [f.split(",")[0] for f in found] == ["line 6", "line 22", "line 30", "line 32"]


def test_the_file_is_text_of_a_bounded_size() -> None:
    large = "#" * (MOST_BYTES + 1)
    assert read_rules(large.encode(), "desk.yaml").faults == (
        "desk.yaml: the file is larger than 256 KiB",
    )
    assert read_rules(b"groups:\n  a: [\xff]", "desk.yaml").faults == (
        "desk.yaml line 2, column 1: the file is not UTF-8",
    )
    assert read("\ufeffgroups: {a: [b]}").groups == {"a": ("b",)}
    assert "this is no YAML" in read_rules(b"groups: \x00", "desk.yaml").faults[0]


def test_words_that_yaml_takes_for_values_are_names_all_the_same() -> None:
    rules = read("groups: {no: [on, 12, null]}\nadministrators: group:no")
    assert rules.groups == {"no": ("on", "12", "null")}
    assert rules.administrators == ("group:no",)


def warnings(text: str, identity: str = "mlflow") -> list[str]:
    return list(read_rules(text.encode(), "desk.yaml", identity).warnings)


def test_what_is_allowed_and_probably_not_meant() -> None:
    two = "rules:\n  - {models: 'a*', rung: QA}\n  - {models: 'ab', rung: QA}\n" + LADDER_TEXT
    assert warnings(two) == [
        (
            "desk.yaml line 3, column 5: this rule never holds: the rule in line 2 comes first and "
            "fits every model ab on QA"
        )
    ]
    assert "decide has no effect" in warnings(rule("    decide: [anna]"))[0]
    assert "nobody may ask" in warnings(rule("    ask: []"))[0]
    assert "one person alone" in warnings(rule("    approvals: 2"), "local")[0]
    entry = "rules: []\npermissions: [{who: everyone, models: '*', level: read}]"
    assert "it is for oidc alone" in warnings(entry)[0]
    assert warnings(entry, "oidc") == []
    assert "the provider must name it" in warnings("rules: []\nadministrators: group:x", "oidc")[0]
    compared = (
        "  - models: '*'\n    rung: {rung}\n    gates:\n"
        "      - {gate: age, level: warn, training_days: 9}\n"
        "      - {gate: signature_compatible, level: block}\n"
    )
    assert warnings("rules:\n" + compared.replace("{rung}", "archived")) == [
        (
            "desk.yaml line 6, column 9: signature_compatible compares with the version that would "
            "be replaced, and many may stand on Archived: it will never apply"
        )
    ]
    assert warnings("rules:\n" + compared.replace("{rung}", "Staging")) == []
    assert warnings(GOOD) == []


def test_permissions_for_a_provider() -> None:
    text = "permissions:\n  - {who: [anna, group:x], models: 'a*', level: read}\n"
    assert read(text, "oidc").permissions == (("anna", "a*", "READ"), ("group:x", "a*", "READ"))


ANY = st.text("ab*?[", max_size=5)


@given(ANY, ANY, st.lists(st.text("abc[", max_size=5), max_size=20))
@example("a?", "a*", ["abc"])
@example("*", "a[b]", ["a[b]"])
def test_a_pattern_that_covers_another_fits_all_that_it_fits(
    one: str, other: str, names: list[str]
) -> None:
    earlier, later = (Rule(p, "QA", RULES.policy("", "")) for p in (one, other))
    if covers(earlier, later):
        assert all(fits(one, name) for name in names if fits(other, name))
    assert covers(earlier, earlier) or "?" in one
    assert not covers(earlier, Rule(other, "Production", later.policy))


def test_brackets_in_a_pattern_stand_for_themselves() -> None:
    assert fits("a[b]", "a[b]")
    assert not fits("a[b]", "ab")
    assert fits("a.b", "a.b")
    assert not fits("a.b", "axb")
    assert fits("*", "two\nlines")
    assert not fits("Wine", "wine")


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_no_text_breaks_the_reading(text: str) -> None:
    found = read_rules(text.encode(), "desk.yaml")
    assert (found.rules is None) is bool(found.faults)


FRAGMENTS = st.lists(
    st.sampled_from(
        ["ladder:", "rules:", "rungs:", "- ", "  ", "\n", "name: ", "gate: drift", "level: warn",
         "models: '*'", "rung: Production", "[", "]", "{", "}", ": ", ", ", "None", "&a ", "*a",
         "!!python/object:os.system ", "<<: ", "approvals: ", "1", "gates:", "\t", "? ", "| "]
    ),
    max_size=30,
)  # fmt: skip


@given(FRAGMENTS)
def test_no_mixture_of_its_words_breaks_the_reading(parts: list[str]) -> None:
    found = read_rules("".join(parts).encode(), "desk.yaml")
    assert (found.rules is None) is bool(found.faults)


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"MODELDECK_HOME": str(home), **more}


def test_the_file_of_the_setting_comes_before_that_of_the_home_and_that_before_none(
    tmp_path: Path,
) -> None:
    assert load_rules(load(environment(tmp_path))) == RULES
    (tmp_path / "desk.yaml").write_text("groups: {home: [a]}")
    assert set(load_rules(load(environment(tmp_path))).groups) == {"home"}
    other = tmp_path / "other.yaml"
    other.write_text("groups: {other: [a]}")
    found = load_rules(load(environment(tmp_path, MODELDECK_DESK_FILE=str(other))))
    assert (set(found.groups), found.file) == ({"other"}, str(other))


def test_a_file_with_faults_ends_the_start_with_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text("rulez: []\ngrups: {}\n")
    with pytest.raises(BadSetting) as caught:
        load_rules(load(environment(tmp_path)))
    assert str(caught.value).splitlines() == [
        "desk.yaml line 1, column 1: there is no key rulez; did you mean rules?",
        "desk.yaml line 2, column 1: there is no key grups; did you mean groups?",
    ]
    missing = load(environment(tmp_path, MODELDECK_DESK_FILE=str(tmp_path / "none.yaml")))
    with pytest.raises(BadSetting, match=r"none\.yaml cannot be read: No such file"):
        load_rules(missing)


def test_the_administrators_own_gates_may_be_named_and_their_faults_are_told_too(
    tmp_path: Path,
) -> None:
    from tests.unit.test_gates import OWN, own_folder

    folder = own_folder(tmp_path / "gates", freeze=OWN)
    (tmp_path / "desk.yaml").write_text(
        rule("    gates: [{gate: freeze, level: block, month: 11}]")
    )
    rules = load_rules(load(environment(tmp_path)))
    assert "freeze" in rules.gates
    (folder / "bad.py").write_text("import nothing_of_the_kind")
    (tmp_path / "desk.yaml").write_text("rulez: []")
    found = check(load(environment(tmp_path)))
    assert found.rules is None
    assert ["bad.py" in found.faults[0], "rulez" in found.faults[1]] == [True, True]


SHARED = """\
ladder:
  rungs:
    - {name: None, stage: None}
    - {name: Shadow, stage: Production, alias: shadow, exclusive: true}
    - {name: Production, stage: Production, alias: champion, exclusive: true}
    - {name: Archived, stage: Archived}
rules:
  - {models: "*", rung: Production, decide: [ben, carl], approvals: 1}
"""


def test_a_rung_that_shares_a_stage_and_asks_fewer_is_warned_of() -> None:
    found = read_rules(SHARED.encode(), "desk.yaml", "mlflow")
    (warning,) = found.warnings
    assert "Production and Shadow share MLflow's stage Production" in warning
    apart = SHARED.replace("name: Shadow, stage: Production", "name: Shadow, stage: None")
    assert read_rules(apart.encode(), "desk.yaml", "mlflow").warnings == ()


def test_one_more_approver_than_there_can_be_is_warned_of() -> None:
    text = SHARED.replace("stage: Production, alias: shadow", "stage: None, alias: shadow")
    alone = text.replace("[ben, carl]", "[ben]")
    (warning,) = read_rules(alone.encode(), "desk.yaml", "mlflow").warnings
    assert "2 must approve, and only 1 may decide" in warning
    said = alone.replace("approvals: 1", "approvals: 1, unknown_registrant: block")
    assert read_rules(said.encode(), "desk.yaml", "mlflow").warnings == ()
