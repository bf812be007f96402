"""What a name in a filter stands for."""

from collections.abc import Sequence
from typing import cast

from core.runs.language import tree, words
from core.runs.language.scan import Piece, invalid
from core.texts import t


class Names:
    """Looks names up.

    Args:
        known: metrics, params and tags that names without a prefix can mean.
    """

    def __init__(self, known: Sequence[words.Known]) -> None:
        self._known = known

    def named(self, piece: Piece) -> tree.Named:
        """What a piece that is a name means, with a prefix or without."""
        prefix, dot, rest = piece.text.partition(".")
        if not dot:
            return self._bare_name(piece, unquoted(piece.text))
        kind = words.PREFIXES.get(prefix.strip("`")) or words.PREFIXES.get(prefix.lower())
        if kind is None:
            return self._bare_name(piece, piece.text, prefix)
        name = unquoted(rest)
        if kind == "attribute":
            return self._attribute(name, piece)
        if kind == "dataset" and name not in words.DATASET_FIELDS:
            fields = ", ".join(words.DATASET_FIELDS)
            raise invalid(t("query.error.no_field", typed=name[:80], known=fields), piece.at)
        return tree.Named(cast(tree.Kind, kind), name, piece.at)

    def _attribute(self, name: str, piece: Piece) -> tree.Named:
        real = words.ALIASES.get(name, name)
        if real not in words.ATTRIBUTES:
            near = words.nearest_word(name, words.ATTRIBUTES)
            raise invalid(
                t("query.error.no_attribute", typed=name[:80], known=", ".join(words.ATTRIBUTES)),
                piece.at,
                t("query.error.meant", right=near) if near else "",
            )
        return tree.Named("attribute", real, piece.at)

    def _bare_name(self, piece: Piece, name: str, prefix: str = "") -> tree.Named:
        """A name without a prefix: an attribute, or the one metric, param or tag of that name."""
        if words.ALIASES.get(name, name) in words.ATTRIBUTES:
            return self._attribute(name, piece)
        own = words.meant(name, self._known)
        if len(own) == 1:
            return tree.Named(cast(tree.Kind, own[0].kind), name, piece.at)
        if own:
            columns = [words.quoted(f"{o.kind}.{name}") for o in own]
            raise invalid(t("query.error.ambiguous", typed=name[:80], known=", ".join(columns)),
                          piece.at)  # fmt: skip
        near = (
            words.nearest(name, self._known)
            or words.nearest_word(name, words.ATTRIBUTES)
            or words.nearest(unquoted(name.removeprefix(f"{prefix}.")), self._known)
        )
        key = "query.error.prefix" if prefix else "query.error.no_name"
        raise invalid(
            t(key, typed=(prefix or name)[:80]),
            piece.at,
            t("query.error.meant", right=near) if near else "",
        )


def unquoted(name: str) -> str:
    """A name without its quotes, taken off as MLflow takes them off: first ' or ", then `."""
    for marks in ("'\"", "`"):
        if len(name) >= 2 and name[0] == name[-1] and name[0] in marks:
            name = name[1:-1]
    return name
