"""A model with requests, for the pages on which they are decided."""

from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.lifecycle.deck import Deck
from core.lifecycle.desk_keeper import DeskKeeper
from core.people import Actor
from core.registry import requests
from core.registry.plan import see
from core.registry.requests import Request
from core.registry.transitions import read_state
from core.settings import load
from core.ui.deck import deck, own_deck
from tests.pages.conftest import Store, drawn

ANNA = Actor("anna", kind="mlflow")
"""Somebody else, who asks."""
RULES = """\
rules:
  - models: "*"
    rung: Production
    decide: [max, zoe]
    approvals: 1
    unknown_registrant: allow
    gates:
      - {gate: metric_threshold, level: block, metric: accuracy, at_least: 0.905}
      - {gate: card_complete, level: warn}
"""


def wine(store: Store, rules: str = RULES, model: str = "wine") -> Deck:
    """The visitor's parts, with a model of three versions; version 1 is in Production.

    Version 2 has a better metric; version 3 comes from a run with another.
    """
    (store_home() / "desk.yaml").write_text(rules, "utf-8")
    here = deck()
    registry = here.mlflow.registry
    registry.create_model(model)
    for run in (store.run, store.other, store.child):
        registry.create_version(model, f"models:/{store.model_id}", run)
    registry.set_stage(model, 1, "Production")
    registry.set_alias(model, "champion", 1)
    return here


def store_home() -> Path:
    """The home of the test that runs."""
    return load().home


def asks(
    here: Deck, version: int = 2, comment: str = "Better.", *, who: Actor = ANNA,
    model: str = "wine", rung: str = "Production",
) -> Request:  # fmt: skip
    """Somebody's request, not checked yet."""
    one = replace(here, actor=who)
    seen = see(read_state(here.mlflow, model), version, rung, here.rules.ladder)
    return requests.ask(one.desk, model, version, rung, comment, seen=seen)


def checks(here: Deck, request: Request) -> Request:
    """What the worker makes of it."""
    DeskKeeper(here, "test").check(request.id)
    return requests.get(here.desk, request.id)


def visit_as(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From now on the pages are visited by somebody with an account. (How accounts sign in, and
    what they may read, is tested where there is a server with accounts.)"""
    monkeypatch.setattr("core.lifecycle.deck.local_actor", lambda: Actor(name, kind="mlflow"))
    own_deck.clear()
    st.cache_data.clear()


def read(app: AppTest) -> str:
    """What stands on the page, without escapes."""
    return drawn(app).replace("\\", "")
