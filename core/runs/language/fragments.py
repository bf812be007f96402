"""Pieces of SQL with the values bound in them, and what can be said of numbers that may be NaN."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sql:
    """Some SQL; each ``?`` in it has its value in ``values``."""

    text: str
    values: tuple[object, ...] = ()


@dataclass(frozen=True)
class Value:
    """A number in SQL that may be NaN; ``nan`` tells whether, and is "" where it never is."""

    sql: Sql
    nan: Sql | None = None


def negated(of: Sql, *, when: bool) -> Sql:
    """NOT of a condition, where ``when`` says so."""
    return Sql(f"NOT ({of.text})", of.values) if when else of


def values_of(*parts: Sql) -> tuple[object, ...]:
    """The values of some pieces, one after the other."""
    return tuple(v for p in parts for v in p.values)


def binary(left: Sql, sign: str, right: Sql) -> Sql:
    """Two pieces with a sign between them."""
    return Sql(f"{left.text} {sign} {right.text}", values_of(left, right))


def compare_numbers(left: Value, sign: str, right: Value) -> Sql:
    """A comparison of numbers: with NaN it is false, but for != which is true; with a missing one
    it is unknown.
    """
    plain = binary(left.sql, sign, right.sql)
    nans = [v.nan for v in (left, right) if v.nan]
    if not nans:
        return plain
    if sign == "!=":
        text = " OR ".join([plain.text, *(n.text for n in nans)])
    else:
        text = " AND ".join([plain.text, *(f"NOT {n.text}" for n in nans)])
    values = plain.values + values_of(*nans)
    if len(nans) == 1:
        return Sql(text, values)
    # NaN against a missing value: unknown, though the NaN alone would decide it.
    known = f"({left.sql.text}) IS NOT NULL AND ({right.sql.text}) IS NOT NULL"
    return Sql(f"CASE WHEN {known} THEN {text} END", values_of(left.sql, right.sql) + values)


def with_nan(value: Value) -> Sql:
    """The number itself, NaN where it is NaN: the mirror keeps 0 and a flag, as MLflow does."""
    if value.nan is None or "isnan" in value.nan.text:
        return value.sql
    text = f"CASE WHEN {value.nan.text} THEN 'nan'::DOUBLE ELSE {value.sql.text} END"
    return Sql(text, value.nan.values + value.sql.values)
