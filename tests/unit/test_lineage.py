"""Where a version comes from and where it went."""

import pytest

from core.lifecycle.deck import open_deck
from core.lifecycle.lineage import trace
from core.mlflow_api import registry
from core.settings import load


def test_all_versions_of_a_run_are_found_however_many_pages_they_fill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = open_deck(load())
    run = here.mlflow.tracking.create_run("0", "trained")
    for model in ("wine", "rent"):
        here.mlflow.registry.create_model(model)
        for number in (1, 2, 3):
            here.mlflow.registry.create_version(model, f"runs:/{run.id}/{number}", run.id)
    monkeypatch.setattr(registry, "_AT_ONCE", 2)
    found = trace(here, here.mlflow.registry.version("wine", 2))
    assert [(one.model, one.version) for one in found.copies] == [
        ("wine", 3), ("wine", 1), ("rent", 3), ("rent", 2), ("rent", 1),
    ]  # fmt: skip
    here.ledger.close()
