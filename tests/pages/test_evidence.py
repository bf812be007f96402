"""One request: champion against challenger, and the decision."""

import getpass
from dataclasses import replace

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient
from streamlit.testing.v1 import AppTest

from core.errors import ServerSlow
from core.ledger import chain
from core.ledger.schema import record
from core.ledger.schema import requests as request_table
from core.lifecycle.deck import Deck
from core.lifecycle.desk_keeper import carry_out
from core.people import Actor, Everything, Permission
from core.registry import requests
from core.registry.gates.evidence_json import as_json, from_json
from core.registry.requests import Checked, Request, State
from core.registry.transitions import read_state
from core.ui.deck import forget
from core.ui.evidence import look
from tests.pages.asked import ANNA, RULES, asks, checks, read, visit_as, wine
from tests.pages.conftest import HOSTILE, Open, Store, markdown_of
from tests.tampering import allow_changes

ME = getpass.getuser()
MAX = Actor("max", kind="mlflow")


@pytest.fixture
def here(own_store: Store) -> Deck:
    return wine(own_store)


def button(app: AppTest, request: Request, name: str) -> AppTest:
    """Click one of the page's buttons."""
    key = next(
        str(b.key) for b in app.button if str(b.key).startswith(f"evidence:{request.id}:{name}")
    )
    app.button(key=key).click()
    return app.run()


WAY_BACK = "rollback:wine:Production:do"


def has(app: AppTest, name: str) -> bool:
    """Whether one of the page's buttons is there."""
    return any(str(b.key).split(":")[2:3] == [name] for b in app.button)


def say(app: AppTest, request: Request, words: str, field: str = "comment") -> None:
    """Type into one of the page's fields."""
    key = next(
        str(a.key) for a in app.text_area if str(a.key).startswith(f"evidence:{request.id}:{field}")
    )
    app.text_area(key=key).set_value(words)


def where(here: Deck) -> dict[int, str]:
    return {v.version: v.stage for v in read_state(here.mlflow, "wine").versions}


class TestLook:
    def test_champion_against_challenger(self, here: Deck, open_page: Open) -> None:
        made = checks(here, asks(here, comment="Better on wet days."))
        app = open_page("evidence", request=made.id)
        assert not app.exception
        assert not app.error
        text = read(app)
        assert "wine v2 → Production" in text
        assert "accuracy 0.930 against 0.910 in Production; 1 check passes, 1 warns." in text
        metric = app.metric[0]
        assert (metric.label, metric.value) == ("accuracy", "0.930")
        assert metric.delta.replace("\\", "") == "+0.020 against 0.910 of v1"
        assert "MLflow has the same metrics now." in text
        assert "Metric within bounds" in text
        assert "Not filled in: purpose, data, owner, limits, review date." in text
        params = next(d.value for d in app.dataframe if "theirs" in d.value and "kind" in d.value)
        assert params.set_index("name").loc["depth"].tolist() == ["changed", "3", "5"]
        assert "Better on wet days." in text
        assert "v2 → Production" in text
        assert "alias champion v1 → v2" in text

    def test_a_run_that_is_gone_takes_its_own_curves_away_and_no_other(
        self, here: Deck, open_page: Open, own_store: Store
    ) -> None:
        client = MlflowClient(here.settings.tracking_uri)
        client.log_metric(own_store.other, "accuracy", 0.94, step=100)
        made = checks(here, asks(here))
        before = read(open_page("evidence", request=made.id))
        assert ("Open the run of v1" in before, "no curves of it" in before) == (True, False)
        client.delete_run(own_store.run)
        client._tracking_client.store._hard_delete_run(own_store.run)  # what ``mlflow gc`` does
        forget()
        app = open_page("evidence", request=made.id)
        assert not app.exception
        assert not app.error
        text = read(app)
        assert "The run of v1 is not in MLflow any longer, so there are no curves of it." in text
        assert ("Open the run of v2" in text, "Open the run of v1" in text) == (True, False)
        assert app.get("plotly_chart")

    def test_a_metric_that_got_worse_is_red_and_falls(self, here: Deck, open_page: Open) -> None:
        better = asks(here, 2)
        made = checks(here, better)
        requests.approve(here.desk, made.id, binding=requests.binding(made))
        carry_out(here, made.id)
        app = open_page("evidence", request=checks(here, asks(here, 1)).id)
        metric = app.metric[0]
        assert metric.delta.replace("\\", "") == "-0.020 against 0.930 of v2"
        assert metric.proto.color == metric.proto.RED
        assert metric.proto.direction == metric.proto.DOWN
        app = open_page("evidence", request=made.id)
        assert app.metric[0].proto.color == app.metric[0].proto.GREEN
        assert app.metric[0].proto.direction == app.metric[0].proto.UP

    def test_a_link_to_nothing(self, here: Deck, open_page: Open) -> None:
        for number, said in (
            ("", "No request was named"),
            ("f" * 32, "no such request"),
            ("../x", "no such request"),
            ("\x00", "no such request"),
            ("1" * 500, "no such request"),
        ):
            app = open_page("evidence", request=number)
            assert said in app.error[0].value.replace("\\", "")

    def test_a_model_that_may_not_be_read_is_not_shown(
        self, here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = checks(here, asks(here))
        monkeypatch.setattr(Everything, "on_model", lambda *_: Permission.NONE)
        app = open_page("evidence", request=made.id)
        assert "READ" in app.error[0].value
        assert not app.metric
        assert not has(app, "approve")

    def test_metrics_that_moved_in_mlflow_are_named(self, here: Deck, open_page: Open) -> None:
        made = checks(here, asks(here))
        evidence = from_json(made.evidence or {})
        other = replace(evidence.challenger, metrics={"accuracy": 0.8})
        requests.recheck(here.desk, made.id)
        assert made.bound is not None
        frozen = as_json(replace(evidence, challenger=other))
        requests.checked(
            here.ledger, made.id, Checked(made.bound, frozen, made.results, made.steps)
        )
        text = read(open_page("evidence", request=made.id))
        assert "MLflow has other metrics now than when this was gathered." in text
        assert "accuracy of v2: 0.8 then, 0.93 now." in text

    def test_mlflow_away_says_so_and_shows_the_rest(
        self, here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = checks(here, asks(here))

        def slow(run_id: str) -> None:
            raise ServerSlow("MLflow did not answer.")

        monkeypatch.setattr("core.ui.runs.run", slow)
        app = open_page("evidence", request=made.id)
        text = read(app)
        assert "could not be asked: MLflow did not answer." in text
        assert "accuracy 0.930 against 0.910" in text
        assert has(app, "approve")

    @pytest.mark.parametrize(("count", "drawn"), [(0, 0), (200, 4)])
    def test_no_metrics_and_very_many(
        self, here: Deck, open_page: Open, count: int, drawn: int
    ) -> None:
        made = checks(here, asks(here))
        requests.recheck(here.desk, made.id)
        evidence = from_json(made.evidence or {})
        metrics: dict[str, float | None] = {f"accuracy_{n}": 0.5 for n in range(count)}
        both = replace(
            evidence, challenger=replace(evidence.challenger, metrics=metrics), holder=None
        )
        assert made.bound is not None
        requests.checked(here.ledger, made.id, Checked(made.bound, as_json(both), (), made.steps))
        app = open_page("evidence", request=made.id)
        assert not app.exception
        assert len(app.metric) == drawn
        assert "Nothing stood in Production when this was gathered" in read(app)
        assert "no check is asked for" in read(app)
        if count:
            assert len(app.dataframe[0].value) == count
        else:
            assert "No metric is known" in read(app)

    def test_hostile_words_stay_words(self, own_store: Store, open_page: Open) -> None:
        name = HOSTILE.replace("/", "|").replace(":", ";")[:240]
        here = wine(own_store, model=name)
        here.mlflow.registry.set_model_tag(name, "modeldeck.card.purpose", HOSTILE)
        evil = Actor(HOSTILE[:250], kind="mlflow")
        made = checks(here, asks(here, comment=HOSTILE, who=evil, model=name))
        requests.comment(replace(here, actor=evil).desk, made.id, HOSTILE)
        app = open_page("evidence", request=made.id)
        assert not app.exception
        text = markdown_of(app)
        for raw in ("![](", ":red[", "<script>", "$a$", "`b`", "\u202e"):
            assert raw not in text

    def test_every_state_is_drawn(self, here: Deck, open_page: Open) -> None:
        checking = asks(here)
        assert "The evidence is being gathered." in read(open_page("evidence", request=checking.id))
        blocked = checks(here, asks(here, 3))
        app = open_page("evidence", request=blocked.id)
        assert "A gate blocks it" in read(app)
        assert app.button(key=f"evidence:{blocked.id}:approve:0").disabled
        assert not app.button(key=f"evidence:{blocked.id}:reject:0").disabled
        gone = open_page("evidence", request=checking.id)
        assert "anna asked for v3 → Production instead." in read(gone)
        assert not has(gone, "approve")


class TestDecide:
    def test_approved_and_carried_out_at_once(self, here: Deck, open_page: Open) -> None:
        made = checks(here, asks(here))
        app = open_page("evidence", request=made.id)
        say(app, made, "Looks right.")
        app = button(app, made, "approve")
        assert not app.error
        assert where(here) == {1: "Archived", 2: "Production", 3: "None"}
        done = requests.get(here.desk, made.id)
        assert done.state is State.DONE
        assert [(d.actor, d.comment) for d in done.decisions] == [(ME, "Looks right.")]
        text = read(app)
        assert "Read back" in text
        assert f"{ME} approved" in text
        assert not has(app, "approve")

    def test_ones_own_is_approved_locally_and_says_so(self, here: Deck, open_page: Open) -> None:
        made = checks(here, asks(here, who=here.actor))
        app = button(open_page("evidence", request=made.id), made, "approve")
        done = requests.get(here.desk, made.id)
        assert done.state is State.DONE
        assert done.decisions[0].own
        assert "This was their own request or version." in read(app)
        line = chain.lines(here.ledger, request_id=made.id, action="request.approved")[0]
        assert line.entry.details["own"] is True

    def test_a_rejection_needs_a_comment_and_keeps_what_was_typed(
        self, here: Deck, open_page: Open
    ) -> None:
        made = checks(here, asks(here))
        app = button(open_page("evidence", request=made.id), made, "reject")
        assert "Say in a few words why" in app.error[0].value
        assert requests.get(here.desk, made.id).state is State.WAITING
        say(app, made, "Wait for May.")
        app = button(app, made, "reject")
        assert requests.get(here.desk, made.id).state is State.REJECTED
        assert "Wait for May." in read(app)
        assert where(here)[1] == "Production"

    def test_what_changed_since_the_look_is_a_conflict(self, here: Deck, open_page: Open) -> None:
        made = checks(here, asks(here))
        app = open_page("evidence", request=made.id)
        here.mlflow.registry.set_model_tag("wine", "modeldeck.card.purpose", "x")
        for name in ("data", "owner", "limits", "review_date"):
            here.mlflow.registry.set_model_tag("wine", f"modeldeck.card.{name}", "2099-01-01")
        requests.recheck(here.desk, made.id)
        checks(here, made)  # another reason of a gate: not what was seen
        say(app, made, "Fine by me.")
        app = button(app, made, "approve")
        assert "The request changed since you looked" in app.error[0].value.replace("\\", "")
        assert requests.get(here.desk, made.id).state is State.WAITING
        kept = next(a for a in app.text_area if "comment" in str(a.key))
        assert kept.value == "Fine by me."
        app = button(app, made, "approve")
        assert requests.get(here.desk, made.id).state is State.DONE

    def test_what_changed_in_mlflow_makes_it_outdated(self, here: Deck, open_page: Open) -> None:
        made = checks(here, asks(here))
        app = open_page("evidence", request=made.id)
        here.mlflow.registry.set_stage("wine", 3, "Production")
        app = button(app, made, "approve")
        assert "must be asked again" in app.error[0].value
        assert requests.get(here.desk, made.id).state is State.OUTDATED
        assert where(here)[2] == "None"

    def test_one_who_may_not_decide_sees_why_and_no_button(
        self, here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = checks(here, asks(here))
        visit_as(monkeypatch, "eve")
        app = open_page("evidence", request=made.id)
        assert "You cannot decide on this." in read(app)
        assert "do not name you among those who decide" in read(app)
        for name in ("approve", "reject", "withdraw", "glass", "recheck"):
            assert not has(app, name)
        assert has(app, "say")

    def test_two_of_two(
        self, own_store: Store, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here = wine(own_store, RULES.replace("approvals: 1", "approvals: 2"))
        made = checks(here, asks(here))
        visit_as(monkeypatch, "max")
        app = button(open_page("evidence", request=made.id), made, "approve")
        assert "More are needed." in read(app)
        assert "1 of 2 approvals" in read(app)
        assert "You have decided already" in read(app)
        visit_as(monkeypatch, "zoe")
        app = open_page("evidence", request=made.id)
        assert "max approved" in read(app)
        button(app, made, "approve")
        assert where(here)[2] == "Production"

    def test_comments_withdrawing_and_checking_again(self, here: Deck, open_page: Open) -> None:
        made = checks(here, asks(here))
        app = open_page("evidence", request=made.id)
        say(app, made, "Which growers?", "words")
        app = button(app, made, "say")
        assert "Which growers?" in read(app)
        app = button(app, made, "recheck")
        assert requests.get(here.desk, made.id).state is State.CHECKING
        checks(here, made)
        app = button(app.run(), made, "withdraw")
        assert requests.get(here.desk, made.id).state is State.WITHDRAWN
        assert "Withdrawn." in read(app)

    def test_breaking_the_glass_needs_a_reason_and_is_loud(
        self, here: Deck, open_page: Open
    ) -> None:
        made = checks(here, asks(here, 3))
        assert made.state is State.BLOCKED
        app = button(open_page("evidence", request=made.id), made, "glass")
        assert "needs a reason" in app.error[0].value
        say(app, made, "The vineyard is on fire.", "glass_reason")
        app = button(app, made, "glass")
        assert where(here)[3] == "Production"
        assert "past what the rules ask for: The vineyard is on fire." in read(app)
        assert chain.lines(here.ledger, request_id=made.id, action="request.broke_glass")

    def test_rollback_of_what_was_done(self, here: Deck, open_page: Open) -> None:
        made = checks(here, asks(here))
        app = button(open_page("evidence", request=made.id), made, "approve")
        said = read(app)
        assert "Put v1 back in Production" in said
        assert "v2 → Archived" in said
        app = app.button(key=WAY_BACK).click().run()
        back = app.query_params["request"]
        back = back[0] if isinstance(back, list) else back
        assert back != made.id
        found = checks(here, requests.get(here.desk, back))
        assert found.state is State.APPROVED
        assert "wine back to v1 in Production" in read(app)
        carry_out(here, back)
        assert where(here) == {1: "Production", 2: "Archived", 3: "None"}
        app = open_page("evidence", request=made.id)
        assert not [b for b in app.button if b.key == WAY_BACK], "it stands there no more"

    def test_where_nothing_can_block_the_way_back_is_at_once_and_said_here(
        self, own_store: Store, open_page: Open
    ) -> None:
        here = wine(own_store, RULES.replace("level: block", "level: warn"))
        made = checks(here, asks(here))
        app = button(open_page("evidence", request=made.id), made, "approve")
        app = app.button(key=WAY_BACK).click().run()
        assert where(here) == {1: "Production", 2: "Archived", 3: "None"}
        assert any("v1: Production, champion" in s.value for s in app.success)
        assert not [b for b in app.button if b.key == WAY_BACK]

    def test_a_way_back_that_is_refused_leaves_the_page(self, here: Deck, open_page: Open) -> None:
        made = checks(here, asks(here))
        app = button(open_page("evidence", request=made.id), made, "approve")
        here.mlflow.registry.set_stage("wine", 3, "Production")
        app = app.button(key=WAY_BACK).click().run()
        assert "v3" in app.error[0].value
        assert "Metric within bounds" in read(app)


class TestSaved:
    def test_the_file_holds_the_page(
        self, here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[bytes] = []
        monkeypatch.setattr(
            "core.ui.evidence.saved.st.download_button",
            lambda _, data, **more: made.append(data()) or made.append(more["file_name"].encode()),
        )
        asked = checks(here, asks(here, comment="Better on wet days."))
        open_page("evidence", request=asked.id)
        file, name = made
        text = file.decode()
        assert name.decode() == f"wine-v2-Production-{asked.id[:8]}.html"
        assert "Better on wet days." in text
        assert "accuracy 0.930 against 0.910 in Production" in text
        assert "This is not what was checked" not in text
        for line in chain.lines(here.ledger, request_id=asked.id):
            assert line.hash in text
        head = chain.head(here.ledger)
        assert head is not None
        assert head.hash in text
        assert ANNA.name in text

    def test_evidence_that_was_changed_after_the_check_is_said_on_the_page_and_in_the_file(
        self, here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[bytes] = []
        button = "core.ui.evidence.saved.st.download_button"
        monkeypatch.setattr(button, lambda _, data, **_more: made.append(data()))
        asked = checks(here, asks(here))
        forge(here, asked)
        app = open_page("evidence", request=asked.id)
        assert not app.exception
        (line,) = chain.lines(here.ledger, request_id=asked.id, action="request.checked")
        said = f"is not what line {line.number} of the record says was found"
        assert said in str([error.value for error in app.error])
        assert said in made[0].decode()
        assert "0.999" in made[0].decode()
        checks(here, requests.recheck(here.desk, asked.id))
        assert not open_page("evidence", request=asked.id).error

    def test_a_check_whose_line_was_changed_is_said_and_one_from_before_is_not(
        self, here: Deck, open_page: Open
    ) -> None:
        asked = checks(here, asks(here))
        (line,) = chain.lines(here.ledger, request_id=asked.id, action="request.checked")
        allow_changes(here.ledger)
        change_line(here, line.number, body="{}")
        assert open_page("evidence", request=asked.id).error
        details = {k: v for k, v in line.entry.details.items() if k != "frozen"}
        body = chain.canonical(line.at, replace(line.entry, details=details))
        hashed = chain.link(line.number, line.previous, body)
        change_line(here, line.number, body=body, hash=hashed)
        forge(here, asked)
        assert not open_page("evidence", request=asked.id).error

    def test_of_many_lines_the_newest_are_told(
        self, here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(look.__globals__, "_MOST_LINES", 3)
        asked = checks(here, asks(here, comment="The oldest."))
        for words in ("First.", "Second.", "Third."):
            requests.comment(here.desk, asked.id, words)
        text = read(open_page("evidence", request=asked.id))
        assert text.index("Second.") < text.index("Third.")
        assert "The newest 3 of 5 lines" in text


def forge(here: Deck, request: Request) -> None:
    """Change a number that was decided on, in the ledger's database."""
    with here.ledger.transaction("test") as connection:
        where = request_table.c.id == request.id
        (kept,) = connection.execute(sa.select(request_table.c.evidence).where(where)).one()
        kept["challenger"]["metrics"]["accuracy"] = 0.999
        connection.execute(request_table.update().where(where).values(evidence=kept))


def change_line(here: Deck, number: int, **values: str) -> None:
    """Change a line of the record, past its guards."""
    with here.ledger.transaction("test") as connection:
        connection.execute(record.update().where(record.c.number == number).values(**values))
