"""Registered models, their versions, stages and aliases."""

import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from core.mlflow_api import convert, ids
from core.mlflow_api.gateway import Gateway, Kind
from core.mlflow_api.nouns import ModelVersion, RegisteredModel
from core.mlflow_api.version_rows import version_rows
from core.texts import t

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

STAGES = ("None", "Staging", "Production", "Archived")
_AT_ONCE = 1_000
"""Rows of one page."""
_DEFAULT_NAME = "MLFLOW_TRACKING_URI"
_DEFAULT_STORE = threading.Lock()


class Registry:
    """The model registry."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def through(self, gateway: Gateway) -> "Registry":
        """The same registry through another door."""
        return Registry(gateway)

    def models(self) -> list[RegisteredModel]:
        """All registered models by name, with their aliases."""
        found: list[RegisteredModel] = []
        token: str | None = None
        while True:
            page = self._gateway.read(
                t("mlflow.action.models"),
                lambda c, token=token: c.search_registered_models(  # type: ignore[misc]
                    max_results=_AT_ONCE, order_by=["name ASC"], page_token=token
                ),
            )
            found += [convert.registered_model(m) for m in page]
            token = page.token
            if not token:
                return found

    def model(self, name: str) -> RegisteredModel:
        """One registered model."""
        checked = ids.model_name(name)
        return self._gateway.read(
            t("mlflow.action.model", name=name),
            lambda c: convert.registered_model(c.get_registered_model(checked)),
        )

    def versions(self, name: str, model: RegisteredModel | None = None) -> list[ModelVersion]:
        """All versions of a model, newest first, with their aliases.

        Args:
            model: the registered model, where it was read already.
        """
        return self._search(name, dict((model or self.model(name)).aliases))

    def some_versions(self, model: RegisteredModel, most: int) -> tuple[list[ModelVersion], bool]:
        """The ``most`` versions of a model that were changed last, newest first, with their
        aliases; and whether these are all there are."""
        text = _name_filter(ids.model_name(model.name))
        page = self._gateway.read(
            t("mlflow.action.versions"),
            lambda c: c.search_model_versions(text, max_results=most),
            Kind.PAGE,
        )
        aliases = dict(model.aliases)
        found = [convert.model_version(v, aliases) for v in page if v.name == model.name]
        return sorted(found, key=lambda v: -v.version), not page.token

    def all_versions(self, models: Sequence[RegisteredModel] | None = None) -> list[ModelVersion]:
        """All versions of all models, newest first within each.

        Args:
            models: all registered models, where they were read already.
        """
        aliases = {m.name: dict(m.aliases) for m in (self.models() if models is None else models)}
        found = self._search(None, {})
        return [
            convert_aliases(v, aliases.get(v.model, {}))
            for v in sorted(found, key=lambda v: (v.model, -v.version))
        ]

    def versions_of_run(self, run_id: str) -> list[ModelVersion]:
        """All versions that were made from a run, without their aliases."""
        text = f"run_id = '{ids.run_id(run_id)}'"
        found = self._pages(text, t("mlflow.action.versions_of_run"))
        return [convert.model_version(v, {}) for v in found]

    def version(self, name: str, number: int, model: RegisteredModel | None = None) -> ModelVersion:
        """One version with its aliases.

        Args:
            model: the registered model, where it was read already.
        """
        of, checked = ids.model_name(name), ids.version(number)
        aliases = dict((model or self.model(name)).aliases)
        return self._gateway.read(
            t("mlflow.action.version", name=name, version=checked),
            lambda c: convert.model_version(c.get_model_version(of, str(checked)), aliases),
        )

    def create_model(
        self, name: str, description: str = "", tags: Mapping[str, str] | None = None
    ) -> None:
        """Make a registered model without versions."""
        checked = ids.new_model_name(name)
        self._gateway.write(
            t("mlflow.action.create_model", name=name),
            lambda c: c.create_registered_model(checked, dict(tags or {}), description or None),
        )

    def create_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> ModelVersion:
        """Make a version of an existing registered model from a logged model or artifact."""
        checked = ids.model_name(name)
        model_id = source.removeprefix("models:/") if source.startswith("models:/m-") else None

        def call(client: "MlflowClient") -> ModelVersion:
            with self._as_default_store():
                made = client.create_model_version(
                    checked,
                    source,
                    run_id,
                    dict(tags or {}),
                    description=description or None,
                    await_creation_for=0,
                    model_id=model_id,
                )
            return convert.model_version(made, {})

        return self._gateway.write(t("mlflow.action.create_version", name=name), call, Kind.PAGE)

    def set_stage(self, name: str, number: int, stage: str) -> None:
        """Move one version to a stage; no other version is touched.

        MLflow's own ``archive_existing_versions`` is never used: it takes no lock, and with target
        Archived or None its server answers 500.
        """
        checked, version = ids.model_name(name), ids.version(number)

        def call(client: "object") -> None:
            with warnings.catch_warnings():
                # Stages are deprecated since MLflow 2.9 and still what people ask for.
                warnings.simplefilter("ignore", FutureWarning)
                client.transition_model_version_stage(  # type: ignore[attr-defined]
                    checked, str(version), stage, archive_existing_versions=False
                )

        self._gateway.write(
            t("mlflow.action.set_stage", name=name, version=version, stage=stage), call
        )

    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Point an alias at a version, away from any other."""
        checked, version, word = ids.model_name(name), ids.version(number), ids.alias(alias)
        self._gateway.write(
            t("mlflow.action.set_alias", alias=alias, name=name),
            lambda c: c.set_registered_model_alias(checked, word, str(version)),
        )

    def delete_alias(self, name: str, alias: str) -> None:
        """Take an alias away; nothing happens where it is gone already."""
        checked = ids.model_name(name)
        self._gateway.write(
            t("mlflow.action.delete_alias", alias=alias, name=name),
            lambda c: c.delete_registered_model_alias(checked, alias),
        )

    def set_version_tag(self, name: str, number: int, key: str, value: str) -> None:
        """Write one tag of a version."""
        checked, version = ids.model_name(name), ids.version(number)
        self._gateway.write(
            t("mlflow.action.tag_version", name=name, version=version),
            lambda c: c.set_model_version_tag(checked, str(version), key, value),
        )

    def delete_version_tag(self, name: str, number: int, key: str) -> None:
        """Remove one tag of a version."""
        checked, version = ids.model_name(name), ids.version(number)
        self._gateway.write(
            t("mlflow.action.tag_version", name=name, version=version),
            lambda c: c.delete_model_version_tag(checked, str(version), key),
        )

    def describe_model(self, name: str, description: str) -> None:
        """Replace a model's description."""
        checked = ids.model_name(name)
        ids.no_control(description, "description")
        self._gateway.write(
            t("mlflow.action.describe", name=name),
            lambda c: c.update_registered_model(checked, description),
        )

    def describe_version(self, name: str, number: int, description: str) -> None:
        """Replace a version's description."""
        checked, version = ids.model_name(name), ids.version(number)
        ids.no_control(description, "description")
        self._gateway.write(
            t("mlflow.action.describe", name=name),
            lambda c: c.update_model_version(checked, str(version), description),
        )

    def set_model_tag(self, name: str, key: str, value: str) -> None:
        """Write one tag of a registered model."""
        checked = ids.model_name(name)
        self._gateway.write(
            t("mlflow.action.describe", name=name),
            lambda c: c.set_registered_model_tag(checked, key, value),
        )

    def delete_model_tag(self, name: str, key: str) -> None:
        """Remove one tag of a registered model."""
        checked = ids.model_name(name)
        self._gateway.write(
            t("mlflow.action.describe", name=name),
            lambda c: c.delete_registered_model_tag(checked, key),
        )

    @contextmanager
    def _as_default_store(self) -> Iterator[None]:
        """Name our database where MLflow looks for a default, for the length of one call.

        A database store resolves ``models:/m-…`` through a client of its own on the process's
        default store, which would be a new ``mlflow.db`` in the folder one stands in.
        """
        with _DEFAULT_STORE:
            before = os.environ.get(_DEFAULT_NAME)
            if self._gateway.is_database:
                os.environ[_DEFAULT_NAME] = self._gateway.tracking_uri
            try:
                yield
            finally:
                if before is None:
                    os.environ.pop(_DEFAULT_NAME, None)
                else:
                    os.environ[_DEFAULT_NAME] = before

    def _search(self, name: str | None, aliases: dict[str, int]) -> list[ModelVersion]:
        text = _name_filter(ids.model_name(name)) if name is not None else ""
        rows = None
        if not self._gateway.is_limited:
            rows = self._gateway.read(
                t("mlflow.action.versions"), lambda c: version_rows(c, text), Kind.PAGE
            )
        if rows is not None:
            carriers = set(aliases.values())
            mine = (v for v in rows if name in (None, v.model))
            found = [convert_aliases(v, aliases) if v.version in carriers else v for v in mine]
            return sorted(found, key=lambda v: -v.version)
        pages = self._pages(text, t("mlflow.action.versions"))
        found = [convert.model_version(v, aliases) for v in pages if name in (None, v.name)]
        return sorted(found, key=lambda v: -v.version)

    def _pages(self, text: str, action: str) -> "Iterator[MlflowVersion]":
        """All versions that a filter finds, one page after the other."""
        token: str | None = None
        while True:
            page = self._gateway.read(
                action,
                lambda c, token=token: c.search_model_versions(  # type: ignore[misc]
                    text, max_results=_AT_ONCE, page_token=token
                ),
                Kind.PAGE,
            )
            yield from page
            token = page.token
            if not token:
                return


def _name_filter(name: str) -> str:
    """A filter that finds the versions of a model, and where it cannot be helped others too.

    MLflow's filters know no escapes: with one kind of quote in the name the other is taken, with
    both a pattern in which any character stands for what cannot be written.
    """
    if "'" not in name:
        return f"name = '{name}'"
    if '"' not in name:
        return f'name = "{name}"'
    pattern = name.replace("'", "_").replace("\\", "_")
    return f"name LIKE '{pattern}'"


def convert_aliases(version: ModelVersion, aliases: Mapping[str, int]) -> ModelVersion:
    """``version`` with those of its model's ``aliases`` that point at it."""
    mine = tuple(sorted(a for a, number in aliases.items() if number == version.version))
    return replace(version, aliases=mine)
