"""People whom a provider vouches for: names, groups, rights, and what they are shown of a store."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import NotAllowed
from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.permissions import lines
from core.lifecycle.visit import deck_of_provider
from core.people import Actor, Permission
from core.people.oidc import (
    SIGN_IN_SECONDS,
    OidcPermissions,
    groups_of,
    is_fresh,
    level_on,
    name_of,
    require_provider,
)
from core.registry.policy import Policy, Rule, Rules
from core.runs.histories import Histories
from core.settings import BadSetting, load
from core.ui.provider import actor_of

GRANTED = (
    ("group:churn", "churn-*", "EDIT"),
    ("boss@x.example", "*", "MANAGE"),
    ("everyone", "open-*", "READ"),
    ("group:churn", "eu[1]", "USE"),
)
MEMBER = Actor("ann@x.example", "oidc", frozenset({"churn"}))
NOBODY = Actor("eve@x.example", "oidc")


@pytest.mark.parametrize(
    ("claims", "claim", "name"),
    [
        ({"email": "a@x", "email_verified": True}, "email", "a@x"),
        ({"email": "a@x", "email_verified": False}, "email", None),
        ({"email": "a@x", "email_verified": "true"}, "email", None),
        ({"email": "a@x"}, "email", None),
        ({}, "email", None),
        ({"sub": "7"}, "sub", "7"),
        ({"sub": 7}, "sub", None),
        ({"sub": " "}, "sub", None),
        ({"sub": "a\u202eb"}, "sub", None),
        ({"preferred_username": "group:managers"}, "preferred_username", None),
        ({"preferred_username": "Everyone"}, "preferred_username", None),
    ],
)
def test_a_name_is_what_the_provider_vouches_for(
    claims: dict[str, Any], claim: str, name: str | None
) -> None:
    if name is None:
        with pytest.raises(NotAllowed):
            name_of(claims, claim)
    else:
        assert name_of(claims, claim) == name


def test_groups_and_the_age_of_a_sign_in() -> None:
    assert groups_of({"groups": ["a", 7, "b"]}, "groups") == {"a", "b"}
    assert groups_of({"roles": "a"}, "roles") == {"a"}
    assert groups_of({"groups": {"a": 1}}, "groups") == frozenset()
    now = time.time()
    assert is_fresh({"iat": now - SIGN_IN_SECONDS + 5}, now)
    for issued in (now - SIGN_IN_SECONDS - 5, now + 3600, "x", None):
        assert not is_fresh({"iat": issued}, now)


@pytest.mark.parametrize(
    ("actor", "name", "level"),
    [
        (MEMBER, "churn-a", Permission.EDIT),
        (MEMBER, "open-b", Permission.READ),
        (MEMBER, "other", Permission.NONE),
        (MEMBER, "eu[1]", Permission.USE),  # brackets stand for themselves, as in the rules
        (MEMBER, "eu1", Permission.NONE),
        (NOBODY, "churn-a", Permission.NONE),
        (NOBODY, "open-b", Permission.READ),
        (Actor("boss@x.example", "oidc"), "other", Permission.MANAGE),
        (Actor("Modeldeck", "worker"), "other", Permission.MANAGE),
    ],
)
def test_the_highest_line_that_fits_holds(actor: Actor, name: str, level: Permission) -> None:
    assert level_on(GRANTED, actor, name) == level


def test_who_is_in_a_group_of_the_file_the_file_alone_says(home: Path) -> None:
    rules = Rules(groups={"deciders": ("boss@x.example",)}, administrators=("group:deciders",))
    settings = load({"MODELDECK_HOME": str(home), "MODELDECK_IDENTITY": "oidc"})
    claims = {"email_verified": True, "groups": ["deciders", "churn"]}
    eve = actor_of({**claims, "email": "eve@x.example"}, settings, rules)
    assert eve.groups == {"churn"}
    assert not eve.administrator
    boss = actor_of({**claims, "email": "boss@x.example"}, settings, rules)
    assert boss.groups == {"churn", "deciders"}
    assert boss.administrator


def test_of_the_lines_of_rights_one_sees_those_about_oneself() -> None:
    rules = Rules(permissions=GRANTED)
    assert lines(rules, MEMBER) == (GRANTED[0], *GRANTED[2:])
    assert lines(rules, NOBODY) == (GRANTED[2],)
    assert lines(rules, replace(NOBODY, administrator=True)) == GRANTED
    decides = Rules(
        permissions=GRANTED,
        rules=(Rule("*", "Production", Policy(decide=("eve@x.example",))),),
    )
    assert lines(decides, NOBODY) == GRANTED


def test_the_start_names_what_the_provider_lacks(home: Path) -> None:
    settings = load({"MODELDECK_HOME": str(home), "MODELDECK_IDENTITY": "oidc"})
    file = home / "secrets.toml"
    with pytest.raises(BadSetting, match="cannot be read"):
        require_provider(settings)
    file.write_text("[auth]\nclient_id = 'x'\n")
    file.chmod(0o644)
    with pytest.raises(BadSetting, match="everybody"):
        require_provider(settings)
    file.chmod(0o600)
    with pytest.raises(BadSetting, match="client_secret"):
        require_provider(settings)
    file.write_text("[auth\n")
    with pytest.raises(BadSetting):
        require_provider(settings)
    require_provider(load({"MODELDECK_HOME": str(home)}))


# ------------------------------------------------------------------------------ a store


def ruled(own: Deck, rules: Rules) -> Deck:
    """Modeldeck's own parts where the desk's file says ``rules``."""
    return replace(
        own,
        rules=rules,
        permissions=OidcPermissions(
            rules.permissions, lambda i: own.mlflow.tracking.experiment(i).name
        ),
    )


@pytest.fixture
def base(home: Path) -> Iterator[Deck]:
    """A store with experiments and models called churn-a, open-b and other."""
    opened = open_deck(load({"MODELDECK_HOME": str(home)}))
    for name in ("churn-a", "open-b", "other"):
        experiment = opened.mlflow.tracking.create_experiment(name)
        opened.mlflow.tracking.create_run(experiment, "one")
        opened.mlflow.registry.create_model(name)
    yield ruled(opened, Rules(permissions=GRANTED))
    opened.mlflow.gateway.close()
    opened.ledger.close()


def ids(deck: Deck) -> dict[str, str]:
    return {e.name: e.id for e in deck.mlflow.tracking.experiments()}


def test_each_sees_what_the_file_lets_them_see(base: Deck) -> None:
    member, nobody = deck_of_provider(base, MEMBER), deck_of_provider(base, NOBODY)
    assert set(ids(member)) == {"churn-a", "open-b"}
    assert set(ids(nobody)) == {"open-b"}
    assert {m.name for m in member.mlflow.registry.models()} == {"churn-a", "open-b"}
    all_ids = list(ids(base).values())
    seen = member.mlflow.tracking.search(all_ids, "").runs
    assert {r.experiment_id for r in seen} == set(ids(member).values())
    none_named = deck_of_provider(ruled(base, Rules()), MEMBER)
    assert ids(none_named) == {}
    assert none_named.mlflow.registry.models() == []


def test_what_one_may_not_see_is_refused_by_every_way(base: Deck) -> None:
    nobody = deck_of_provider(base, NOBODY)
    closed = ids(base)["churn-a"]
    run = base.mlflow.tracking.search([closed], "").runs[0].id
    mlflow = nobody.mlflow
    for call in (
        lambda: mlflow.tracking.experiment(closed),
        lambda: mlflow.tracking.run(run),
        lambda: mlflow.tracking.metric_history(run, "x"),
        lambda: mlflow.tracking.set_run_tag(run, "a", "b"),
        lambda: mlflow.tracking.delete_run(run),
        lambda: mlflow.tracking.create_run(closed, "two"),
        lambda: mlflow.tracking.create_experiment("churn-new"),
        lambda: mlflow.tracking.set_experiment_tag(closed, "a", "b"),
        lambda: mlflow.tracking.set_experiment_tag(ids(base)["open-b"], "a", "b"),
        lambda: mlflow.registry.model("churn-a"),
        lambda: mlflow.registry.versions("churn-a"),
        lambda: mlflow.registry.create_model("churn-new"),
        lambda: mlflow.registry.set_alias("open-b", "champion", 1),
        mlflow.whoami,
    ):
        with pytest.raises(NotAllowed):
            call()
    with pytest.raises(NotAllowed):
        Histories(mlflow, None)._client.whole(run, "x")
    assert nobody.permissions.on_experiment(NOBODY, closed) == Permission.NONE
    assert nobody.permissions.on_model(NOBODY, "open-b") == Permission.READ


def test_whoever_may_edit_does_and_modeldeck_still_writes(base: Deck) -> None:
    member = deck_of_provider(base, MEMBER)
    own = ids(base)["churn-a"]
    run = member.mlflow.tracking.search([own], "").runs[0].id
    member.mlflow.tracking.set_run_tag(run, "note", "mine")
    assert member.mlflow.tracking.run(run).tags["note"] == "mine"
    member.mlflow.tracking.create_experiment("churn-new")
    member.service.registry.create_model("anything")
    assert "anything" not in {m.name for m in member.mlflow.registry.models()}


def test_what_is_remembered_ends_with_the_rights(base: Deck) -> None:
    less = ruled(base, Rules())
    other = Actor(MEMBER.name, "oidc")
    scopes = {deck_of_provider(d, a).scope for d in (base, less) for a in (MEMBER, other)}
    assert len(scopes) == 4
