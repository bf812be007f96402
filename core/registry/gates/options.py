"""The options of a gate: a frozen dataclass whose fields say what a policy may set."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from core.registry.gates.gate import Gate
from core.texts import t

_NONE = dataclasses.MISSING


class _Required:
    """Stands for the default of an option that has none."""


REQUIRED = _Required()


@dataclass(frozen=True)
class Kind:
    """What one option may be."""

    type: type
    """``str``, ``int``, ``float``, ``bool``, or ``tuple`` for a list of texts."""
    choices: tuple[str, ...] = ()
    """The only values, where they are listed."""
    optional: bool = False
    """Whether it may be nothing."""
    default: Any = REQUIRED

    @property
    def required(self) -> bool:
        """Whether a policy must set it."""
        return self.default is REQUIRED

    @property
    def words(self) -> str:
        """What it may be, in plain words."""
        if self.choices:
            return t("rules.kind.choice", names=", ".join(self.choices))
        return t(f"rules.kind.{self.type.__name__}")

    def convert(self, value: Any) -> Any:
        """The value as the gate takes it.

        Raises:
            ValueError: it is of another kind; the message says which is wanted.
        """
        if value is None and self.optional:
            return None
        if self.type is tuple and isinstance(value, list | tuple):
            if all(isinstance(part, str) for part in value):
                return tuple(value)
        elif self.type is float and isinstance(value, int | float):
            if not isinstance(value, bool) and math.isfinite(value):
                return float(value)
        elif type(value) is self.type and (not self.choices or value in self.choices):
            return value
        raise ValueError(t("rules.option.kind", wanted=self.words, found=str(value)[:80]))


def kinds(gate: Gate) -> Mapping[str, Kind]:
    """Each option of a gate, by name.

    Raises:
        TypeError: the gate's options are no dataclass, or have a field that no file could set.
    """
    if not dataclasses.is_dataclass(gate.options):
        raise TypeError(t("rules.gate_file.options"))
    if {"gate", "level"} & {field.name for field in dataclasses.fields(gate.options)}:
        raise TypeError(t("rules.gate_file.reserved"))
    hints = typing.get_type_hints(gate.options)
    return {
        field.name: _kind(hints[field.name], field) for field in dataclasses.fields(gate.options)
    }


def faults(gate: Gate, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with options: (option or "" for the whole, what) of each fault."""
    known, found = kinds(gate), []
    for name, value in given.items():
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = t("rules.near", name=near[0]) if near else ""
            found.append((name, t("rules.option.unknown", gate=gate.name, name=name) + hint))
            continue
        try:
            known[name].convert(value)
        except ValueError as error:
            found.append((name, f"{name} {error}"))
    found += [
        ("", t("rules.option.missing", gate=gate.name, name=name, wanted=kind.words))
        for name, kind in known.items()
        if kind.required and name not in given
    ]
    if not found:
        try:
            make(gate, given)
        except ValueError as error:
            found.append(("", f"{gate.name}: {error}"))
    return found


def make(gate: Gate, given: Mapping[str, Any]) -> Any:
    """The gate's options, from what a policy says.

    Raises:
        ValueError: an option is of another kind, missing, unknown, or does not go with the others.
    """
    known = kinds(gate)
    for name in given:
        if name not in known:
            raise ValueError(t("rules.option.unknown", gate=gate.name, name=name))
    for name, kind in known.items():
        if kind.required and name not in given:
            raise ValueError(
                t("rules.option.missing", gate=gate.name, name=name, wanted=kind.words)
            )
    return gate.options(**{name: known[name].convert(value) for name, value in given.items()})


def _kind(hint: Any, field: "dataclasses.Field[Any]") -> Kind:
    default = REQUIRED if field.default is _NONE else field.default
    if field.default_factory is not _NONE:
        default = field.default_factory()
    parts = get_args(hint) if get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    plain = [part for part in parts if part is not type(None)]
    optional = len(plain) < len(parts)
    if len(plain) == 1:
        only = plain[0]
        if get_origin(only) is Literal:
            return Kind(str, tuple(map(str, get_args(only))), optional, default)
        if get_origin(only) is tuple and get_args(only) == (str, ...):
            return Kind(tuple, (), optional, default)
        if only in (str, int, float, bool):
            return Kind(only, (), optional, default)
    raise TypeError(t("rules.gate_file.option_kind", name=field.name))
