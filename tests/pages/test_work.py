"""Home, Welcome, Training, Endpoints, Predict and Processes, run in process on a real store."""

from pathlib import Path

import pytest

from core.ledger import Ledger
from core.serving import endpoints
from core.settings import load
from core.training import jobs
from tests.pages.asked import visit_as
from tests.pages.conftest import HOSTILE, Open, Store, drawn, markdown_of


@pytest.fixture
def ledger(own_store: Store) -> Ledger:
    """The ledger of the home that the pages work on."""
    opened = Ledger(load().ledger_uri)
    opened.migrate()
    return opened


def job(ledger: Ledger, title: str = "a job", state: str = jobs.QUEUED) -> jobs.Job:
    return jobs.QUEUE.add(
        ledger, by="ada", state=state, project="tabular", entry_point="main", title=title,
        params={"family": "linear", "data": "bundled:wine"},
    )  # fmt: skip


def endpoint(ledger: Ledger, model: str, state: str) -> endpoints.Endpoint:
    return endpoints.QUEUE.add(
        ledger, by="ada", state=state, model=model, version=1, source="models:/m-1", restarts=0
    )


def test_home_counts_and_links_what_there_is(open_page: Open, store: Store) -> None:
    page = open_page("home")
    assert not page.exception
    assert page.metric[0].value != "0"
    assert "Latest runs" in drawn(page)


def test_home_says_that_no_worker_runs(open_page: Open, own_store: Store) -> None:
    assert "No worker runs" in drawn(open_page("home"))


def test_home_names_a_job_that_failed(open_page: Open, ledger: Ledger) -> None:
    job(ledger, HOSTILE, jobs.FAILED)
    page = open_page("home")
    assert ":red[" not in markdown_of(page).replace("\\:red\\[", "")
    assert "failed" in drawn(page)


@pytest.mark.parametrize("patience", [60.0, 0.0])
def test_an_untouched_store_begins_with_the_welcome_page(
    open_page: Open, home: Path, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    """Also where the mirror has not read the store yet, as on a slow machine."""
    monkeypatch.setenv("MODELDECK_WORKER", "external")
    monkeypatch.setattr("core.lifecycle.overview._PATIENCE", patience)
    page = open_page("home")
    assert "Welcome to Modeldeck" in drawn(page)
    assert "Load the sample" in [b.label for b in page.button]


def test_loading_the_sample_twice_puts_one_job_in_the_queue(
    open_page: Open, ledger: Ledger
) -> None:
    page = open_page("welcome")
    next(b for b in page.button if b.label == "Load the sample").click().run()
    next(b for b in page.button if b.label == "Load the sample").click().run()
    assert [j.project for j in jobs.recent(ledger)] == ["sample"]
    assert "Queued" in drawn(page)


@pytest.mark.parametrize("address", ["not an address", "ftp://host", "http://[", "http://"])
def test_an_address_that_is_none_is_refused_and_stays(
    open_page: Open, own_store: Store, address: str
) -> None:
    page = open_page("welcome")
    page.text_input(key="welcome_address").input(address).run()
    next(b for b in page.button if b.label == "Test the address").click().run()
    assert page.error
    assert page.text_input(key="welcome_address").value == address


def test_the_form_has_the_params_of_the_chosen_family(open_page: Open, own_store: Store) -> None:
    page = open_page("training")
    assert "Trees" in [n.label for n in page.number_input]
    page.selectbox(key="train_family").select("neighbours").run()
    labels = [n.label for n in page.number_input]
    assert "Neighbours" in labels
    assert "Trees" not in labels


def test_starting_a_job_makes_its_run_and_puts_it_in_the_queue(
    open_page: Open, ledger: Ledger
) -> None:
    page = open_page("training")
    page.selectbox(key="train_family").select("linear").run()
    page.text_input(key="train_run_name").input("from a test").run()
    next(b for b in page.button if b.label == "Start training").click().run()
    assert not page.error
    (made,) = jobs.recent(ledger)
    assert (made.title, made.state, made.params["family"]) == ("from a test", "queued", "linear")
    assert made.run_id
    assert "No worker runs" in drawn(page)


def test_a_bad_value_is_named_and_the_form_stays(open_page: Open, ledger: Ledger) -> None:
    page = open_page("training")
    page.text_input(key="train_register_as").input("bad/name").run()
    next(b for b in page.button if b.label == "Start training").click().run()
    assert "no valid model name" in page.error[0].value.replace("\\", "")
    assert page.text_input(key="train_register_as").value == "bad/name"
    assert jobs.recent(ledger) == []


def test_a_job_is_opened_by_its_link_and_can_be_stopped(open_page: Open, ledger: Ledger) -> None:
    made = job(ledger, HOSTILE)
    page = open_page("training", job=made.id)
    assert "Waits for a worker" in drawn(page)
    page.button(key=f"train_stop_{made.id}").click().run()
    assert jobs.get(ledger, made.id).stop_requested_by


def test_a_job_that_is_not_there_is_said(open_page: Open, own_store: Store) -> None:
    assert "There is no job" in drawn(open_page("training", job="f" * 32)).replace("\\", "")


def test_an_endpoint_is_asked_for_and_shown(open_page: Open, ledger: Ledger) -> None:
    made = endpoint(ledger, HOSTILE, endpoints.STARTING)
    page = open_page("endpoints")
    assert "Starting" in drawn(page)
    page.button(key=f"serve_stop_{made.id}").click().run()
    assert endpoints.get(ledger, made.id).stop_requested_by


def test_an_endpoint_that_failed_tells_why(open_page: Open, ledger: Ledger) -> None:
    made = endpoint(ledger, "wine", endpoints.STARTING)
    endpoints.update(ledger, made, state=endpoints.FAILED, message="The folder holds no model")
    assert "The folder holds no model" in drawn(open_page("endpoints"))


def test_predict_says_that_nothing_is_served(open_page: Open, own_store: Store) -> None:
    assert "Nothing is served now" in drawn(open_page("predict"))


def test_processes_say_that_no_worker_runs(open_page: Open, own_store: Store) -> None:
    assert "No worker runs" in drawn(open_page("processes"))


def test_work_of_others_is_seen_where_its_model_or_experiment_may_be_read(
    open_page: Open, ledger: Ledger, own_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    dark = endpoint(ledger, "dark", endpoints.QUEUED)
    mine = jobs.QUEUE.add(
        ledger, by="zoe", state=jobs.QUEUED, project="tabular", entry_point="main",
        title="mine", params={},
    )  # fmt: skip
    lit = jobs.QUEUE.add(
        ledger, by="ada", state=jobs.QUEUED, project="tabular", entry_point="main",
        title="lit", params={}, experiment_id=own_store.trees,
    )  # fmt: skip
    secret = job(ledger, "secret", jobs.FAILED)

    def seen(page: str, **query: str) -> str:
        app = open_page(page, **query)
        assert not app.exception
        tables = app.get("arrow_data_frame") or app.get("dataframe")
        return drawn(app) + str([frame.value.to_dict("records") for frame in tables])

    assert "dark" in seen("endpoints", endpoint=dark.id)  # the control: an administrator sees all
    assert "secret" in seen("home")
    visit_as(monkeypatch, "zoe")
    for page in ("home", "training", "endpoints", "processes", "predict"):
        said = seen(page)
        assert "dark" not in said, page
        assert "secret" not in said, page
    assert mine.title in seen("training")
    assert lit.title in seen("training")
    assert "secret" not in seen("training", job=secret.id)
