"""A run's name, description and tags by hand.

Edits of descriptions and tags name what the person saw and are refused where it is no longer so:
nobody's newer text is replaced unread.
"""

from core.errors import Conflict, InvalidInput
from core.mlflow_api import Mlflow
from core.mlflow_api.ids import no_control
from core.mlflow_api.nouns import NOTE_TAG
from core.runs.changes import LONGEST_KEY, LONGEST_VALUE, good_name
from core.texts import t


def rename(mlflow: Mlflow, run_id: str, name: str) -> None:
    """Give a run another name.

    Raises:
        InvalidInput: it is blank or too long.
    """
    mlflow.tracking.rename_run(run_id, good_name(name))


def describe(mlflow: Mlflow, run_id: str, text: str, *, seen: str) -> None:
    """Replace a run's description; a blank one is removed.

    Args:
        seen: the description that the person saw.

    Raises:
        Conflict: it is another by now; nothing was written.
        InvalidInput: it is too long.
    """
    kept = text.strip()
    there = mlflow.tracking.run(run_id).tags.get(NOTE_TAG, "")
    if there not in (seen, kept):
        raise Conflict(t("runs.note.changed"), t("runs.note.changed_next"))
    _short_enough(kept, "note")
    if kept:
        mlflow.tracking.set_run_tag(run_id, NOTE_TAG, kept)
    elif there:
        mlflow.tracking.delete_run_tag(run_id, NOTE_TAG)


def set_tag(mlflow: Mlflow, run_id: str, key: str, value: str, *, seen: str | None) -> None:
    """Write one tag.

    Args:
        seen: the value that the person saw, None where there was no such tag.

    Raises:
        Conflict: the tag has another value by now; nothing was written.
        InvalidInput: key or value cannot be a tag's.
    """
    key = key.strip()
    if not key:
        raise InvalidInput(t("runs.tag.blank"), field="key")
    if len(key) > LONGEST_KEY:
        raise InvalidInput(t("runs.tag.long_key", most=LONGEST_KEY), field="key")
    no_control(key, "key")
    _short_enough(value, "value")
    _unchanged(mlflow, run_id, key, seen, value)
    mlflow.tracking.set_run_tag(run_id, key, value)


def delete_tag(mlflow: Mlflow, run_id: str, key: str, *, seen: str | None) -> None:
    """Remove one tag; one that is gone already stays gone.

    Args:
        seen: the value that the person saw.

    Raises:
        Conflict: the tag has another value by now; nothing was removed.
    """
    if _unchanged(mlflow, run_id, key, seen, None) is not None:
        mlflow.tracking.delete_run_tag(run_id, key)


def _unchanged(
    mlflow: Mlflow, run_id: str, key: str, seen: str | None, wanted: str | None
) -> str | None:
    """The tag's value now, where it is what the person saw, or what they want."""
    there = mlflow.tracking.run(run_id).tags.get(key)
    if there not in (seen, wanted):
        raise Conflict(t("runs.tag.changed", key=key), t("runs.tag.changed_next"))
    return there


def _short_enough(text: str, field: str) -> None:
    if len(text) > LONGEST_VALUE:
        raise InvalidInput(t("runs.tag.long_value", n=len(text), most=LONGEST_VALUE), field=field)
