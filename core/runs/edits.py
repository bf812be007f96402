"""One change to one run: planned from what the run is now, written, and taken back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.errors import Conflict, DeckError, InvalidInput, OutcomeUnknown
from core.mlflow_api import Mlflow
from core.mlflow_api.ids import no_control
from core.mlflow_api.nouns import NOTE_TAG, Run
from core.runs.changes import LONGEST_KEY, LONGEST_VALUE, good_name
from core.texts import t

Kind = Literal["tag", "untag", "rename", "note", "delete", "restore"]
KINDS: tuple[Kind, ...] = ("tag", "untag", "rename", "note", "delete", "restore")
_FIELD = re.compile(r"\{([^{}]*)\}|[{}]")


@dataclass(frozen=True)
class Action:
    """What shall be done to every run that was chosen."""

    kind: Kind
    key: str = ""
    """Of a tag."""
    text: str = ""
    """A tag's value, a note, or a pattern for names: ``{name}`` is the old one, ``{n}`` counts."""


@dataclass(frozen=True)
class Edit:
    """One value of one run, before and after; None stands for none."""

    run_id: str
    what: Literal["name", "tag", "life"]
    key: str
    before: str | None
    after: str | None


def checked(action: Action) -> Action:
    """``action`` with its texts made fit.

    Raises:
        InvalidInput: they cannot be used; ``field`` is "key" or "text".
    """
    key, text = action.key.strip(), action.text.strip()
    if action.kind in ("tag", "untag"):
        if key.startswith("mlflow."):
            raise InvalidInput(t("experiments.bulk.bad_own"), field="key")
        if not key or len(key) > LONGEST_KEY:
            raise InvalidInput(t("experiments.bulk.bad_key", most=LONGEST_KEY), field="key")
        no_control(key, "key")
    no_control(text, "text")
    if len(text) > LONGEST_VALUE:
        raise InvalidInput(
            t("experiments.bulk.long", n=len(text), most=LONGEST_VALUE), field="text"
        )
    if action.kind == "rename":
        renamed(text, "x", 1)
    return Action(action.kind, key, text)


def renamed(pattern: str, name: str, n: int) -> str:
    """The name that ``pattern`` makes of a run called ``name``, the ``n``-th of those renamed.

    Raises:
        InvalidInput: another field than ``{name}`` and ``{n}``, or a name blank or too long.
    """
    values = {"name": name, "n": str(n)}

    def value(found: "re.Match[str]") -> str:
        if found[1] not in values:
            raise InvalidInput(
                t("experiments.bulk.bad_pattern", typed=found[0][:40]),
                field="text",
                position=found.start(),
            )
        return values[found[1]]

    return good_name(_FIELD.sub(value, pattern))


def planned(run: Run, action: Action, n: int) -> Edit | None:
    """What ``action`` changes of ``run``, the ``n``-th chosen; None where it is so already."""
    what, key, before, after = _change(run, action, n)
    return None if before == after else Edit(run.id, what, key, before, after)


def _change(
    run: Run, action: Action, n: int
) -> tuple[Literal["name", "tag", "life"], str, str | None, str | None]:
    match action.kind:
        case "rename":
            return "name", "", run.name, renamed(action.text, run.name, n)
        case "delete":
            return "life", "", run.lifecycle_stage, "deleted"
        case "restore":
            return "life", "", run.lifecycle_stage, "active"
        case "note":
            return "tag", NOTE_TAG, run.tags.get(NOTE_TAG), action.text or None
        case "untag":
            return "tag", action.key, run.tags.get(action.key), None
        case "tag":
            return "tag", action.key, run.tags.get(action.key), action.text


def value_of(run: Run, edit: Edit) -> str | None:
    """What the value that ``edit`` is about is now."""
    values: Mapping[str, str | None] = {"name": run.name, "life": run.lifecycle_stage}
    return values[edit.what] if edit.what in values else run.tags.get(edit.key)


def taken_back(edit: Edit) -> Edit:
    """The edit that undoes ``edit``."""
    return Edit(edit.run_id, edit.what, edit.key, edit.after, edit.before)


def change(mlflow: Mlflow, run_id: str, action: Action, n: int) -> Edit | None:
    """Do ``action`` to one run as it is now; what was changed, or None.

    Raises:
        DeckError: it could not be read or written.
    """
    edit = planned(mlflow.tracking.run(run_id), action, n)
    if edit is not None:
        _write(mlflow, edit)
    return edit


def undo(mlflow: Mlflow, edit: Edit) -> Edit:
    """Put back what was before ``edit``; the edit that did so.

    Raises:
        Conflict: the value is no longer the one that ``edit`` wrote; it stays as it is.
        DeckError: it could not be read or written.
    """
    if value_of(mlflow.tracking.run(edit.run_id), edit) != edit.after:
        raise Conflict(t("experiments.bulk.not_ours"), t("experiments.bulk.not_ours_next"))
    back = taken_back(edit)
    _write(mlflow, back)
    return back


def _write(mlflow: Mlflow, edit: Edit) -> None:
    try:
        _send(mlflow, edit)
    except OutcomeUnknown as lost:
        # The reply was lost, perhaps not the write: looked up, never sent again.
        try:
            now = value_of(mlflow.tracking.run(edit.run_id), edit)
        except DeckError:
            raise lost from None
        if now != edit.after:
            raise


def _send(mlflow: Mlflow, edit: Edit) -> None:
    tracking = mlflow.tracking
    if edit.what == "name":
        tracking.rename_run(edit.run_id, edit.after or "")
    elif edit.what == "life":
        (tracking.delete_run if edit.after == "deleted" else tracking.restore_run)(edit.run_id)
    elif edit.after is None:
        tracking.delete_run_tag(edit.run_id, edit.key)
    else:
        tracking.set_run_tag(edit.run_id, edit.key, edit.after)
