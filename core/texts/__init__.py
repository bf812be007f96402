"""Every text that a person sees, by key.

The catalogue is one folder a language (``en/``), one TOML file an area, so that a second language
is a second folder. ``core/texts/en/home.toml`` with ``[counts] runs = "{n} runs"`` holds the key
``home.counts.runs``.
"""

import tomllib
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
LANGUAGE = "en"


def t(key: str, /, **fields: object) -> str:
    """The text of ``key`` as plain text, with its ``{fields}`` filled in.

    Where the catalogue has ``key.one`` and ``key.other``, the field ``n`` chooses between them.

    Raises:
        KeyError: no such key, or a field that the text names was not given.
    """
    texts = _catalogue(LANGUAGE)
    if key not in texts and f"{key}.other" in texts:
        key = f"{key}.one" if fields.get("n") == 1 else f"{key}.other"
    return texts[key].format_map(fields) if fields else texts[key]


def has(key: str) -> bool:
    """Whether the catalogue holds ``key`` itself."""
    return key in _catalogue(LANGUAGE)


def keys() -> frozenset[str]:
    """All keys of the catalogue, plural forms with their ending."""
    return frozenset(_catalogue(LANGUAGE))


@cache
def _catalogue(language: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    for file in sorted((_FOLDER / language).glob("*.toml")):
        _flatten(file.stem, tomllib.loads(file.read_text("utf-8")), texts)
    return texts


def _flatten(prefix: str, branch: dict[str, object], into: dict[str, str]) -> None:
    for name, value in branch.items():
        if isinstance(value, dict):
            _flatten(f"{prefix}.{name}", value, into)
        else:
            into[f"{prefix}.{name}"] = str(value)
