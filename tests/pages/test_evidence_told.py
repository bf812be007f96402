"""What the evidence page says of the digest and of the metrics of a model of its own."""

import pytest
from mlflow import MlflowClient

from core.ledger import now
from core.lifecycle import brief, paper
from core.registry.gates.evidence_json import from_json
from core.ui.deck import forget
from tests.pages.asked import asks, checks, read, wine
from tests.pages.conftest import Open, Store


@pytest.mark.parametrize(("most", "said"), [("0", True), ("500", False)])
def test_the_digest_says_what_it_is_over_and_what_will_be_compared(
    own_store: Store, open_page: Open, monkeypatch: pytest.MonkeyPatch, most: str, said: bool
) -> None:
    monkeypatch.setenv("MODELDECK_DIGEST_MB", most)
    here = wine(own_store)
    made = checks(here, asks(here))
    beforehand = "their paths and sizes alone will be compared"
    text = read(open_page("evidence", request=made.id))
    assert "(over the contents of all files)" in text
    assert (beforehand in text) is said
    evidence = from_json(made.evidence or {})
    metrics, gone = brief.metrics(evidence), ("The run of v1 is gone.",)
    saved = paper.document(
        paper.Paper(made, evidence, metrics, (), None, "", "ada", now(), None, {}, (0, 1), gone)
    )
    assert gone[0] in saved
    assert f"{evidence.digest} (over the contents of all files)" in saved
    assert (beforehand in saved) is said


def test_a_models_own_metrics_are_compared_with_what_mlflow_has_of_the_model_now(
    own_store: Store, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = wine(own_store)
    client = MlflowClient(here.settings.tracking_uri)
    client.log_metric(own_store.run, "accuracy", 0.91, step=9, model_id=own_store.model_id)
    made = checks(here, asks(here))
    text = read(open_page("evidence", request=made.id))
    assert "MLflow has the same metrics now." in text  # the run of version 2 has 0.93
    client.log_metric(own_store.run, "accuracy", 0.5, step=10, model_id=own_store.model_id)
    forget()
    text = read(open_page("evidence", request=made.id))
    assert "accuracy of v2: 0.91 then, 0.5 now." in text
