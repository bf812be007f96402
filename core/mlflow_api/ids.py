"""Ids and names, checked before they are sent: some make MLflow's server answer 500."""

import re

from core.errors import InvalidInput
from core.texts import t

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LARGEST_INT = 2**31 - 1
RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)
_ALIAS = re.compile(r"[\w-]{1,255}")


def run_id(value: str) -> str:
    """A run id, as given.

    Raises:
        InvalidInput: it cannot be one.
    """
    if not _RUN.fullmatch(value):
        raise _bad(value, "run")
    return value


def is_run_id(value: str) -> bool:
    """Whether ``value`` can be a run id."""
    return _RUN.fullmatch(value) is not None


def experiment_id(value: str) -> str:
    """An experiment id: digits, no larger than the database's whole numbers.

    Raises:
        InvalidInput: it cannot be one.
    """
    if not (value.isascii() and value.isdigit() and len(value) <= 19 and int(value) < 2**63):
        raise _bad(value, "experiment")
    if len(value) < 18 and int(value) > _LARGEST_INT:
        raise _bad(value, "experiment")
    return value


def version(value: int | str) -> int:
    """A version number, 1 or more.

    Raises:
        InvalidInput: it cannot be one.
    """
    text = str(value)
    if not (
        text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= _LARGEST_INT
    ):
        raise _bad(text, "version")
    return int(text)


def model_name(value: str) -> str:
    """The name of a registered model that may exist: not blank, no ``/``, ``:`` or NUL.

    MLflow itself takes line breaks, and with SQLite any length.

    Raises:
        InvalidInput: it cannot be one.
    """
    if not value.strip() or re.search(r"[/:\x00]", value):
        raise _bad(value, "model")
    return value


def new_model_name(value: str) -> str:
    """A name to give: also no control characters, and as short as every database takes it.

    Raises:
        InvalidInput: it should not be one.
    """
    if len(value) > 256 or re.search(r"[\x00-\x1f\x7f]", value):
        raise _bad(value, "model")
    return model_name(value)


def alias(value: str) -> str:
    """An alias: letters, digits, ``_`` and ``-``; ``latest`` and ``v1`` are MLflow's own.

    Raises:
        InvalidInput: it cannot be one.
    """
    if not _ALIAS.fullmatch(value) or RESERVED_ALIAS.fullmatch(value):
        raise InvalidInput(t("errors.mlflow.bad_alias", value=repr(value[:80])), field="alias")
    return value


def no_control(value: str, field: str) -> str:
    """Text without NUL, which some databases refuse.

    Raises:
        InvalidInput: there is one in it.
    """
    if "\x00" in value:
        raise InvalidInput(t("errors.mlflow.nul", field=field), field=field)
    return value


def _bad(value: str, kind: str) -> InvalidInput:
    shown = value[:60] + ("…" if len(value) > 60 else "")
    return InvalidInput(
        t("errors.mlflow.bad_id", value=repr(shown), kind=t(f"errors.kinds.{kind}")),
        t("errors.mlflow.bad_id_next"),
        field=kind,
    )
