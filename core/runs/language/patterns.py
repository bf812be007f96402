"""LIKE, ILIKE and RLIKE. MLflow's databases differ in them, and so do filters."""

from collections.abc import Sequence

import duckdb

from core.runs.language import tree
from core.runs.language.fragments import Sql
from core.runs.language.scan import invalid
from core.texts import t

_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def like(of: tree.Like, column: Sql, *, sqlite: bool) -> Sql:
    """Whether a text is like a pattern, as MLflow's own database says.

    Args:
        column: the text.
        sqlite: whether that database is SQLite, which knows no escapes in patterns and no upper
            and lower case beyond ASCII. All others go by PostgreSQL.
    """
    pattern = of.pattern.value
    if of.way == "RLIKE":
        return Sql(f"regexp_matches({column.text}, ?)", (*column.values, pattern))
    if sqlite:
        if of.way == "LIKE":
            return Sql(f"{column.text} LIKE ?", (*column.values, pattern))
        lower = pattern.translate(str.maketrans(_UPPER, _UPPER.lower()))
        folded = f"translate({column.text}, '{_UPPER}', '{_UPPER.lower()}')"
        return Sql(f"{folded} LIKE ?", (*column.values, lower))
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        # It ends in an escape of nothing: PostgreSQL finds nothing like it, or fails.
        return Sql(f"({column.text} IS NULL AND NULL)", column.values)
    if of.way == "LIKE":
        return Sql(f"{column.text} LIKE ? ESCAPE '\\'", (*column.values, pattern))
    return Sql(f"lower({column.text}) LIKE lower(?) ESCAPE '\\'", (*column.values, pattern))


def check_expressions(patterns: Sequence[tree.Text]) -> None:
    """Ask DuckDB whether it takes these regular expressions: RE2's, which take time in proportion
    to the text, and so have no look-around and no back-references.

    Raises:
        InvalidInput: one is none.
    """
    if not patterns:
        return
    with duckdb.connect() as connection:  # one for all: opening it takes 30 ms
        for pattern in patterns:
            try:
                connection.execute("SELECT regexp_matches('', ?)", [pattern.value]).fetchall()
            except duckdb.Error as error:
                raise invalid(t("query.error.expression", typed=pattern.value[:80]), pattern.at) \
                    from error  # fmt: skip
