"""The desk's rules as they are now: the file is read again when it changes."""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from core.registry.policy import Rules
from core.registry.rules_file import desk_file, gate_folder, load_rules
from core.settings import BadSetting, Settings
from core.texts import t

_log = logging.getLogger("modeldeck")
_Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Held:
    """Rules, and whether the file says something else by now."""

    rules: Rules
    fault: str = ""
    """What is wrong with the file's present state, where an earlier one holds."""


_lock = threading.Lock()
_held: dict[Settings, tuple[_Stamp, Held]] = {}


def held(settings: Settings) -> Held:
    """The rules that hold. A file that was changed to something that cannot be used changes
    nothing: the rules before it hold, and the fault is told.

    Raises:
        BadSetting: the file cannot be used, and none could before it.
    """
    stamp = _stamp(settings)
    with _lock:
        known = _held.get(settings)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            if known is not None and known[1].rules.file and desk_file(settings) is None:
                # Without the file what is built in would hold, which may ask for less.
                raise BadSetting(t("rules.gone", file=known[1].rules.file))
            found = Held(load_rules(settings))
        except BadSetting as error:
            if known is None:
                raise
            _log.warning("%s", error)
            found = Held(known[1].rules, str(error))
        _held[settings] = (stamp, found)
        return found


def _stamp(settings: Settings) -> _Stamp:
    file, folder = desk_file(settings), gate_folder(settings)
    gates = sorted(folder.glob("*.py")) if folder.is_dir() else []
    return tuple(_of(path) for path in [*([file] if file else []), *gates])


def _of(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (str(path), 0, 0)
    return (str(path), found.st_mtime_ns, found.st_size)
