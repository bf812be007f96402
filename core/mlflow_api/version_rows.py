"""Versions read from a registry database as rows: a sixth of the time that MLflow's objects take.

Which rows those are MLflow's own store decides, by its filter, its workspace and its leaving out of
prompts; a test compares with what the client says.
"""

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from core.mlflow_api.convert import moment
from core.mlflow_api.nouns import ModelVersion

if TYPE_CHECKING:
    from mlflow import MlflowClient


def version_rows(client: "MlflowClient", filter_string: str) -> list[ModelVersion] | None:
    """All versions that ``filter_string`` finds, in no order and without their aliases.

    None where the client's registry is no database of this process.
    """
    import sqlalchemy as sa
    from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
    from mlflow.store.model_registry.dbmodels import models
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
    from mlflow.utils.search_utils import SearchModelVersionUtils

    store: Any = client._get_registry_client().store  # noqa: SLF001
    if not isinstance(store, SqlAlchemyStore):
        return None
    row, tag = models.SqlModelVersion, models.SqlModelVersionTag
    parsed = SearchModelVersionUtils.parse_search_filter(filter_string)
    found: Any = store._get_search_model_versions_filter_clauses(  # noqa: SLF001
        parsed, store.engine.dialect.name
    )
    found = found.filter(row.current_stage != STAGE_DELETED_INTERNAL)
    keys = found.with_only_columns(row.workspace, row.name, row.version).subquery()
    of_version = (
        (tag.workspace == keys.c.workspace)
        & (tag.name == keys.c.name)
        & (tag.version == keys.c.version)
    )
    tagged: Any = sa.select(tag.name, tag.version, tag.key, tag.value).join(keys, of_version)
    with store.ManagedSessionMaker() as session:
        versions = session.execute(
            found.with_only_columns(
                row.name, row.version, row.current_stage, row.description, row.run_id, row.source,
                row.status, row.status_message, row.creation_time, row.last_updated_time,
            )
        ).all()  # fmt: skip
        tags: defaultdict[tuple[str, int], dict[str, str]] = defaultdict(dict)
        for name, number, key, value in session.execute(tagged):
            tags[name, number][key] = value
    return [
        ModelVersion(
            model=name,
            version=number,
            stage=stage or "None",
            aliases=(),
            description=description or "",
            tags=tags.get((name, number), {}),
            run_id=run_id or None,
            source=source or "",
            status=status or "",
            status_message=message or "",
            created_at=moment(created),
            updated_at=moment(updated),
        )
        for name, number, stage, description, run_id, source, status, message, created, updated
        in versions
    ]  # fmt: skip
