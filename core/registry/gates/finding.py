"""Finding the gates: every file of this folder, and of the administrator's own, that has a GATE."""

import importlib
import pkgutil
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType

from core.errors import InvalidInput
from core.registry.gates.gate import PARTS, Gate
from core.registry.gates.options import kinds
from core.texts import has, t

_WRITABLE_BY_ALL = 0o002


@cache
def all_gates() -> Mapping[str, Gate]:
    """The gates that Modeldeck brings, by name."""
    package = importlib.import_module("core.registry.gates")
    names = sorted(info.name for info in pkgutil.iter_modules(package.__path__))
    modules = (importlib.import_module(f"{package.__name__}.{name}") for name in names)
    return MappingProxyType({m.GATE.name: m.GATE for m in modules if hasattr(m, "GATE")})


def with_own(folder: Path) -> Mapping[str, Gate]:
    """The gates that Modeldeck brings, and those of an administrator's own folder.

    Its files are code, run with Modeldeck's rights; they are read anew at each call.

    Args:
        folder: holds one gate in each ``.py`` file, as ``GATE``; it need not be there.

    Raises:
        InvalidInput: a file that anybody may write to, that does not import, that has no gate, or
            whose gate has a name that is taken or needs what is no evidence; all such files are
            named.
    """
    found, faults = dict(all_gates()), []
    for file in sorted(folder.glob("*.py")) if folder.is_dir() else ():
        try:
            gate = _own(file)
            if gate.name in found:
                raise ValueError(t("rules.gate_file.taken", name=gate.name))
            found[gate.name] = gate
        except Exception as error:  # noqa: BLE001 - anything may go wrong in somebody's file
            what = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
            faults.append(t("rules.gate_file.fault", file=str(file), what=what))
    if faults:
        raise InvalidInput("\n".join(faults), t("rules.gate_file.next"))
    return MappingProxyType(found)


def title(name: str) -> str:
    """What a gate is called on pages; plain text."""
    shipped = has(f"gates.title.{name}")
    return t(f"gates.title.{name}") if shipped else name.replace("_", " ").capitalize()


def _own(file: Path) -> Gate:
    for place in (file, file.parent):
        if place.stat().st_mode & _WRITABLE_BY_ALL:
            raise ValueError(t("rules.gate_file.writable", path=str(place)))
    gate = getattr(_module(file), "GATE", None)
    if not isinstance(gate, Gate):
        raise ValueError(t("rules.gate_file.none"))
    if not isinstance(gate.needs, frozenset):
        raise ValueError(t("rules.gate_file.needs"))
    if unknown := gate.needs - PARTS:
        names = ", ".join(sorted(map(str, unknown)))
        raise ValueError(t("rules.gate_file.no_part", names=names, known=", ".join(sorted(PARTS))))
    kinds(gate)  # its options can be checked
    return gate


def _module(file: Path) -> ModuleType:
    # Read from its text: Python would take a compiled copy of a file changed within a second.
    module = ModuleType(f"modeldeck_gate_{file.stem}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # where dataclasses look their types up
    code = compile(file.read_text("utf-8"), str(file), "exec", dont_inherit=True)
    exec(code, module.__dict__)  # noqa: S102 - the administrator's own file
    return module
