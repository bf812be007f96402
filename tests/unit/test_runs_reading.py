"""Histories, counts, previews and inputs: what pages read of runs."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from core.errors import Conflict, InvalidInput, LedgerFailed, NotFound, OutcomeUnknown
from core.ledger import Ledger, chain
from core.mlflow_api import Mlflow, connect
from core.mlflow_api.nouns import DatasetInput
from core.people import Actor, Everything
from core.registry import heads, origin
from core.registry.desk import Desk
from core.registry.policy import RULES
from core.registry.register import folders, register, source_of_folder, source_of_model
from core.runs import changes, editing, inputs, preview
from core.runs.histories import Wanted
from core.runs.preview import Kind
from core.settings import load
from tests.tampering import allow_changes


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """An empty store."""
    made = connect(load({"MODELDECK_HOME": str(tmp_path_factory.mktemp("home"))}))
    yield made
    made.gateway.close()


def a_run(mlflow: Mlflow, experiment: str, metrics: dict[str, list[float]]) -> Wanted:
    """A finished run with histories."""
    made = mlflow.tracking.create_run(experiment, "r")

    def log(client: object) -> None:
        for key, values in metrics.items():
            for step, value in enumerate(values):
                client.log_metric(made.id, key, value, step=step)  # type: ignore[attr-defined]

    mlflow.gateway.write("logging", log)
    mlflow.tracking.set_status(made.id, "FINISHED")
    return Wanted(made.id, "r", True, frozenset(metrics))


class TestChanges:
    def test_names(self, mlflow: Mlflow) -> None:
        for bad in ("", "   ", "x" * 501):
            with pytest.raises(InvalidInput):
                changes.create_experiment(mlflow, bad)

    def test_taken_names(self, mlflow: Mlflow) -> None:
        made = changes.create_experiment(mlflow, "taken", "why")
        with pytest.raises(Conflict, match="already"):
            changes.create_experiment(mlflow, " taken ")
        changes.delete_experiments(mlflow, [made])
        with pytest.raises(Conflict, match="deleted experiment"):
            changes.create_experiment(mlflow, "taken")
        changes.restore_experiments(mlflow, [made])
        assert mlflow.tracking.experiment(made).lifecycle_stage == "active"

    def test_a_description_that_somebody_else_changed(self, mlflow: Mlflow) -> None:
        run = a_run(mlflow, "0", {})
        editing.describe(mlflow, run.id, " mine ", seen="")
        with pytest.raises(Conflict, match="Somebody else"):
            editing.describe(mlflow, run.id, "later", seen="")
        editing.describe(mlflow, run.id, "later", seen="mine")
        assert mlflow.tracking.run(run.id).tags["mlflow.note.content"] == "later"


class TestRegister:
    @pytest.fixture
    def desk(self, mlflow: Mlflow, tmp_path: Path) -> Desk:
        """Ada, who may do everything."""
        (tmp_path / "desk").mkdir()
        ledger = Ledger(f"sqlite:///{tmp_path / 'desk' / 'ledger.db'}")
        ledger.migrate()
        return Desk(mlflow, mlflow, ledger, Actor("ada"), Everything(), RULES)

    @pytest.fixture
    def model(self, mlflow: Mlflow) -> tuple[str, str]:
        """A run and a model that it logged."""
        run = a_run(mlflow, "0", {})
        made = mlflow.gateway.write(
            "logging", lambda c: c.create_logged_model("0", "m", source_run_id=run.id)
        )
        return run.id, source_of_model(made.model_id)

    def test_a_new_name_then_the_same_again(self, desk: Desk, model: tuple[str, str]) -> None:
        first = register(desk, *model, " fresh ", "about")
        assert first.made
        assert first.version.tags["modeldeck.registered_by"] == "ada"
        assert first.version.description == "about"
        assert first.version.run_id == model[0]
        assert origin.registrant(desk.ledger, first.version, desk.mlflow.address) == "ada"
        tags = desk.mlflow.registry.version("fresh", first.version.version).tags
        assert tags[heads.TAG] == str(chain.head(desk.ledger))
        again = register(desk, *model, "fresh")
        assert not again.made
        assert again.version.version == first.version.version

    def test_a_lost_reply_is_looked_up(
        self, desk: Desk, model: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry = desk.service.registry
        create = registry.create_version

        def lost(*args: object, **more: object) -> None:
            create(*args, **more)  # type: ignore[arg-type]
            raise OutcomeUnknown("no reply")

        monkeypatch.setattr(registry, "create_version", lost)
        made = register(desk, *model, "lost")
        assert made.made
        assert len(registry.versions("lost")) == 1
        assert origin.registrant(desk.ledger, made.version, desk.mlflow.address) == "ada"

    def test_a_lost_line_is_written_by_the_next_try_of_the_same_person_alone(
        self, desk: Desk, model: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise LedgerFailed("no ledger")

        with monkeypatch.context() as patched:
            patched.setattr("core.registry.register.note_registered", fail)
            with pytest.raises(LedgerFailed):
                register(desk, *model, "halved")
        store = desk.mlflow.address
        others = register(replace(desk, actor=Actor("ben")), *model, "halved")
        assert origin.registrant(desk.ledger, others.version, store) is None
        for _ in range(2):
            found = register(desk, *model, "halved")
            assert not found.made
            assert origin.registrant(desk.ledger, found.version, store) == "ada"
        assert chain.count(desk.ledger, action=origin.ACTION) == 1

    def test_a_line_that_cannot_be_read_names_nobody(
        self, desk: Desk, model: tuple[str, str]
    ) -> None:
        made = register(desk, *model, "spoilt").version
        allow_changes(desk.ledger)
        with desk.ledger.transaction("tampering") as connection:
            connection.execute(sa.text("UPDATE record SET body = CAST(x'ff' AS TEXT)"))
        assert origin.registrant(desk.ledger, made, desk.mlflow.address) is None

    def test_only_a_model_of_the_run(self, desk: Desk, model: tuple[str, str]) -> None:
        """Modeldeck's own account could make a version of anything."""
        run, other = model[0], a_run(desk.mlflow, "0", {}).id
        for source in (
            source_of_folder(other, "model"),
            source_of_folder(run, "../x"),
            "/etc",
            "file:///etc",
            "models:/secret/1",
        ):
            with pytest.raises((InvalidInput, NotFound)):
                register(desk, run, source, "stolen")
        with pytest.raises(InvalidInput, match="not one that the run logged"):
            register(desk, other, model[1], "stolen")
        assert "stolen" not in [m.name for m in desk.mlflow.registry.models()]

    def test_folders_of_older_clients(self, desk: Desk, tmp_path: Path) -> None:
        mlflow = desk.mlflow
        run = mlflow.tracking.run(a_run(mlflow, "0", {}).id)
        tmp_path = tmp_path / "logged"
        for folder in ("model", "best/tree", "too/deep/down", "plain"):
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / ("notes" if folder == "plain" else "MLmodel")).write_text(
                "flavors: {python_function: {}}"
            )
        mlflow.gateway.write("logging", lambda c: c.log_artifacts(run.id, str(tmp_path)))
        assert folders(mlflow, run) == ["model", "best/tree"]
        made = register(desk, run.id, source_of_folder(run.id, "best/tree"), "old")
        assert made.version.source == f"runs:/{run.id}/best/tree"
        place = mlflow.artifacts.model_uri(made.version)
        assert mlflow.artifacts.model_info(place).flavors == ("python_function",)

    @pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", "\x00"])
    def test_names_that_no_model_has(self, desk: Desk, model: tuple[str, str], name: str) -> None:
        with pytest.raises(InvalidInput):
            register(desk, *model, name)


class TestPreview:
    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("a/roc.PNG", Kind.IMAGE), ("t.csv", Kind.TABLE), ("t.parquet", Kind.TABLE),
            ("x.json", Kind.JSON), ("README.md", Kind.TEXT), ("model/MLmodel", Kind.TEXT),
            ("logo.svg", Kind.HTML), ("m.pkl", Kind.OTHER), ("noending", Kind.OTHER),
        ],
    )  # fmt: skip
    def test_kinds(self, path: str, kind: Kind) -> None:
        assert preview.kind_of(path) is kind

    def test_csv_is_capped_and_says_so(self) -> None:
        text = "a\n" + "\n".join(str(i) for i in range(preview.ROWS + 5))
        table = preview.as_table("x.csv", text.encode())
        assert (len(table.frame), table.more, table.rows) == (preview.ROWS, True, None)

    def test_parquet_knows_its_length(self) -> None:
        data = io.BytesIO()
        pd.DataFrame({"a": range(3000), "b": [{"x": 1}] * 3000}).to_parquet(data)
        table = preview.as_table("x.parquet", data.getvalue())
        assert (len(table.frame), table.rows, table.more) == (preview.ROWS, 3000, True)
        assert table.frame["b"].iloc[0] == '{"x": 1}'

    @pytest.mark.parametrize("path", ["x.parquet", "x.csv"])
    def test_damaged_tables(self, path: str) -> None:
        with pytest.raises(InvalidInput):
            preview.as_table(path, b"")

    def test_damaged_pictures(self) -> None:
        for data in (b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"):
            with pytest.raises(InvalidInput):
                preview.as_image(data)

    def test_json_tables(self) -> None:
        value = {"columns": ["a", "a"], "data": [[1, {"x": 2}], [3, None]]}
        table = preview.table_in_json(value)
        assert table is not None
        assert list(table.frame.columns) == ["a", "a (2)"]
        assert table.frame.iloc[0, 1] == '{"x": 2}'
        for other in ({"columns": ["a"], "data": [[1, 2]]}, {"columns": [], "data": []}, [], 1):
            assert preview.table_in_json(other) is None

    def test_bad_json(self) -> None:
        for data in (b"{nope", b"[" * 100_000, b"\xff\xfe"):
            with pytest.raises(InvalidInput):
                preview.as_json(data)

    def test_text_is_cut(self) -> None:
        text, length = preview.as_text(b"x" * (preview.TEXT + 5))
        assert (len(text), length) == (preview.TEXT, preview.TEXT + 5)
        assert preview.is_binary(b"a\x00b")


class TestInputs:
    def data(self, schema: object = "", profile: object = "", source: object = "") -> DatasetInput:
        """A data set as a run names it."""
        texts = [x if isinstance(x, str) else json.dumps(x) for x in (source, schema, profile)]
        return DatasetInput("d", "1", "code", *texts, "training")

    def test_schema_of_a_table(self) -> None:
        spec = {"mlflow_colspec": [{"type": "long", "name": "n", "required": False}, "odd"]}
        table = inputs.schema_of(self.data(spec))
        assert table is not None
        assert table.to_dict("records") == [{"name": "n", "type": "long", "required": False}]

    def test_schema_of_an_array(self) -> None:
        inner = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}
        table = inputs.schema_of(
            self.data({"mlflow_tensorspec": {"features": json.dumps([inner])}})
        )
        assert table is not None
        assert table["type"].iloc[0] == "tensor(float64) [-1, 3]"

    def test_what_cannot_be_read(self) -> None:
        for schema in ("", "{", "[]", "3", {"other": 1}):
            assert inputs.schema_of(self.data(schema)) is None
        assert inputs.profile_of(self.data(profile="nope")) == []
        assert inputs.source_of(self.data(source="s3://x")) == [("source", "s3://x")]
