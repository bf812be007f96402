"""MLflow Projects: their params with types that hold, and the command that runs an entry point.

The types in an ``MLproject`` file are free text which MLflow does not check. Beside it, an optional
``form.yaml`` tells how each param is drawn and what it may be; a param it does not name is text.
"""

import math
import shlex
import string
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from core.errors import InvalidInput, NotFound
from core.texts import t

BUILTIN = Path(__file__).parent / "builtin"
TABULAR = "tabular"
AUTO = "auto"


@dataclass(frozen=True)
class Param:
    """One param of an entry point."""

    name: str
    default: str | None
    """The default as text; None where a value has to be given."""
    label: str
    help: str = ""
    kind: str = "text"
    """``text``, ``int``, ``float``, ``choice`` or ``data`` (a file, or one of the choices)."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """Value → what a person reads."""
    min: float | None = None
    max: float | None = None
    step: float | None = None
    auto: bool = False
    """Whether the word ``auto`` may stand in place of a number or choice."""
    required: bool = False
    files: tuple[str, ...] = ()
    """Endings of the files that a param of kind ``data`` takes."""
    only_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Another param → the values of it for which this one counts."""


@dataclass(frozen=True)
class Project:
    """An entry point of a project in a folder."""

    name: str
    folder: Path
    entry_point: str
    title: str
    help: str
    params: tuple[Param, ...]
    command: str
    """The command as ``MLproject`` has it, with ``{param}`` to fill in."""

    def param(self, name: str) -> Param:
        """One param by its name."""
        return next(p for p in self.params if p.name == name)


def tabular() -> Project:
    """The project that comes with Modeldeck: one column of a table learned from the others."""
    return load(BUILTIN / TABULAR)


def find(name: str) -> Project:
    """A registered project by its name.

    Raises:
        NotFound: none has it.
    """
    if name == TABULAR:
        return tabular()
    raise NotFound(t("training.projects.none_such", name=name))


def load(folder: Path, entry_point: str = "main") -> Project:
    """Read ``MLproject`` and ``form.yaml`` of a folder.

    Raises:
        InvalidInput: the folder holds no project with that entry point.
    """
    try:
        data = yaml.safe_load((folder / "MLproject").read_text("utf-8"))
        entry = data["entry_points"][entry_point]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise InvalidInput(
            t("training.projects.unreadable", folder=folder, entry_point=entry_point)
        ) from error
    form: dict[str, Any] = {}
    if (folder / "form.yaml").exists():
        form = yaml.safe_load((folder / "form.yaml").read_text("utf-8"))
    drawn = form.get("params", {})
    return Project(
        name=str(data.get("name") or folder.name),
        folder=folder,
        entry_point=entry_point,
        title=form.get("title") or str(data.get("name") or folder.name),
        help=form.get("help", ""),
        params=tuple(
            _param(name, spec, drawn.get(name, {}))
            for name, spec in (entry.get("parameters") or {}).items()
        ),
        command=entry["command"],
    )


def counts(project: Project, values: Mapping[str, str]) -> list[Param]:
    """The params that count, given what is chosen so far, in the project's order."""
    chosen = {p.name: values.get(p.name, p.default or "") for p in project.params}
    return [
        p
        for p in project.params
        if all(chosen.get(other, "") in wanted for other, wanted in p.only_for.items())
    ]


def check(
    project: Project, values: Mapping[str, str], data_roots: Sequence[Path]
) -> dict[str, str]:
    """The values as text, complete and each of its type; params that do not count get defaults.

    Args:
        values: what was typed, by param.
        data_roots: folders whose files may be read.

    Raises:
        InvalidInput: names every value that cannot be used, and what it may be.
    """
    drawn = {p.name for p in counts(project, values)}
    result: dict[str, str] = {}
    faults: list[tuple[str, str]] = []
    for param in project.params:
        value = str(values.get(param.name, param.default or "")) if param.name in drawn else None
        if value is None:
            result[param.name] = param.default or ""
            continue
        fault = _fault(param, value.strip(), data_roots)
        if fault:
            faults.append((param.name, t("training.projects.fault", name=param.label, fault=fault)))
        result[param.name] = value.strip()
    if faults:
        raise InvalidInput("\n".join(text for _, text in faults), field=faults[0][0])
    return result


def command(project: Project, values: Mapping[str, str]) -> list[str]:
    """The entry point's command as an argument list; a value is never cut into several words."""
    words = shlex.split(project.command)
    filled = [word.format_map(_Filled(values)) for word in words]
    return [sys.executable, *filled[1:]] if filled[0] in ("python", "python3") else filled


class _Filled(dict[str, str]):
    """Values for a command; one that is missing is empty, as MLflow has it for no default."""

    def __missing__(self, key: str) -> str:
        return ""


def _param(name: str, spec: Any, drawn: Mapping[str, Any]) -> Param:
    default = spec.get("default") if isinstance(spec, dict) else None
    return Param(
        name=name,
        default=None if default is None else str(default),
        label=drawn.get("label") or string.capwords(name.replace("_", " ")),
        help=drawn.get("help", ""),
        kind=drawn.get("kind", "text"),
        choices={str(k): str(v) for k, v in (drawn.get("choices") or {}).items()},
        min=drawn.get("min"),
        max=drawn.get("max"),
        step=drawn.get("step"),
        auto=bool(drawn.get("auto")),
        required=bool(drawn.get("required")) or default is None,
        files=tuple(drawn.get("files") or ()),
        only_for={
            str(k): tuple(str(x) for x in v) for k, v in (drawn.get("only_for") or {}).items()
        },
    )


def _fault(param: Param, value: str, roots: Sequence[Path]) -> str | None:
    """What is wrong with one value, in words; None where it can be used."""
    if not value:
        return t("training.projects.missing") if param.required else None
    if any(ord(character) < 32 for character in value):
        return t("training.projects.control")
    if param.auto and value == AUTO:
        return None
    if param.kind in ("int", "float"):
        return _number_fault(param, value)
    if param.kind == "choice" and value not in param.choices:
        return t("training.projects.choice", choices=", ".join(param.choices))
    if param.kind == "data" and value not in param.choices:
        return _file_fault(param, value, roots)
    return None


def _number_fault(param: Param, value: str) -> str | None:
    try:
        number = int(value) if param.kind == "int" else float(value)
    except ValueError:
        return t(f"training.projects.{param.kind}")
    low, high = param.min, param.max
    if not math.isfinite(number):
        return t(f"training.projects.{param.kind}")
    if not ((low is None or number >= low) and (high is None or number <= high)):
        return t("training.projects.range", min=low, max=high)
    return None


def _file_fault(param: Param, value: str, roots: Sequence[Path]) -> str | None:
    path = Path(value)
    if not path.is_absolute():
        return t("training.projects.absolute")
    try:
        real = path.resolve()  # a link inside a root must not lead out of it
        inside = any(root.resolve() in real.parents for root in roots)
        there = real.is_file()
    except (OSError, RuntimeError):  # a name too long for a file, a link to itself
        return t("training.projects.no_file", path=value)
    if not inside:
        return t("training.projects.outside", roots=", ".join(str(r) for r in roots))
    if not there:
        return t("training.projects.no_file", path=value)
    if param.files and real.suffix.lower().lstrip(".") not in param.files:
        return t("training.projects.ending", endings=", ".join(param.files))
    return None
