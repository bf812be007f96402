"""From the tree to SQL for DuckDB over the mirror's tables: nothing typed gets into the text of it,
only bound values do.

A condition is true, false or unknown (NULL) of a run; a value that the run does not have makes it
unknown. NaN is a value: it compares false with everything, but for != which is true, as in MLflow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import duckdb

from core.runs.language import tree
from core.runs.language.reading import as_date, type_of
from core.runs.language.scan import invalid
from core.runs.language.words import KINDS
from core.texts import t

RUN_NAME_TAG = "mlflow.runName"
"""Where MLflow's filter looks for a run's name."""
USER_TAG = "mlflow.user"
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Condition:
    """A condition in SQL: ``SELECT … FROM runs r {joins} WHERE … AND ({sql})``.

    ``joins`` never makes rows more or fewer. Its names are f0, f1, …; each ``?`` in it has its
    value in ``join_parameters``, each ``?`` in ``sql`` in ``parameters``.
    """

    sql: str = "TRUE"
    parameters: tuple[object, ...] = ()
    joins: str = ""
    join_parameters: tuple[object, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What a filter means depends on these too.

    Attributes:
        dialect: the kind of MLflow's own database: LIKE follows it. Not SQLite: as PostgreSQL.
        zone: the IANA zone of dates without one.
        now: what ``ago`` counts from.
        experiments: names of experiments by their ids.
        directions: lower or higher is better, by a metric's name; None: unknown.
    """

    dialect: str | None
    zone: str
    now: datetime
    experiments: Mapping[str, str]
    directions: Callable[[str], str | None]


@dataclass(frozen=True)
class _Sql:
    text: str
    values: tuple[object, ...] = ()


@dataclass(frozen=True)
class _Value:
    """A number in SQL that may be NaN; ``nan`` tells whether, and is "" where it never is."""

    sql: _Sql
    nan: _Sql | None = None


def compiled(condition: tree.Condition, setting: Setting) -> Condition:
    """The condition in SQL.

    Raises:
        InvalidInput: a pattern that is none, a metric whose direction is not known.
    """
    compiler = _Compiler(setting)
    made = compiler.condition(condition)
    return Condition(made.text, made.values, " ".join(compiler.joins), tuple(compiler.join_values))


class _Compiler:
    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._sqlite = setting.dialect == "sqlite"
        self._aliases: dict[object, str] = {}
        self.joins: list[str] = []
        self.join_values: list[object] = []

    # ------------------------------------------------------------------------------ conditions

    def condition(self, of: tree.Condition) -> _Sql:
        if isinstance(of, tree.AllOf | tree.AnyOf):
            if not of.parts:
                return _Sql("TRUE")
            word = " AND " if isinstance(of, tree.AllOf) else " OR "
            parts = [self.condition(p) for p in of.parts]
            return _Sql(word.join(f"({p.text})" for p in parts), _values(*parts))
        if isinstance(of, tree.Not):
            return _negated(self.condition(of.part), negated=True)
        if isinstance(of, tree.Missing):
            return self._missing(of.left)
        if isinstance(of, tree.IsNan):
            return self._is_nan(of.left)
        if isinstance(of, tree.Like):
            return self._per_value(
                of.left, lambda c: _negated(self._like(of, c), negated=of.negated)
            )
        if isinstance(of, tree.OneOf):
            return self._one_of(of)
        if isinstance(of, tree.Between):
            return self._between(of)
        return self._compare(of)

    def _compare(self, of: tree.Compare) -> _Sql:
        left, right = of.left, of.right
        kinds = {type_of(left), type_of(right)}
        if "time" in kinds:
            return self._compare_times(of)
        if "truth" in kinds:
            return _binary(self._truth(left), of.sign, self._truth(right))
        if kinds <= {"number", "span", "open"} and not self._as_text(of):
            return _compare_numbers(self._number(left), of.sign, self._number(right))
        if isinstance(left, tree.Named) and isinstance(right, tree.Text):
            return self._per_value(
                left, lambda c: _Sql(f"{c.text} {of.sign} ?", (*c.values, right.value))
            )
        return _binary(self._text(left), of.sign, self._text(right))

    def _as_text(self, of: tree.Compare) -> bool:
        """Two params or tags are equal as texts; which one is larger, they tell as numbers."""
        return type_of(of.left) == type_of(of.right) == "open" and of.sign in ("=", "!=")

    def _one_of(self, of: tree.OneOf) -> _Sql:
        texts = [v.value for v in of.values if isinstance(v, tree.Text)]
        if len(texts) == len(of.values) and type_of(of.left) != "time":
            return self._per_value(
                of.left,
                lambda c: _negated(
                    _Sql(f"list_contains(?::VARCHAR[], {c.text})", (texts, *c.values)),
                    negated=of.negated,
                ),
            )
        any_of = tree.AnyOf(tuple(tree.Compare("=", of.left, v) for v in of.values))
        return _negated(self.condition(any_of), negated=of.negated)

    def _between(self, of: tree.Between) -> _Sql:
        low = tree.Compare(">=", of.left, of.low)
        return self.condition(tree.AllOf((low, tree.Compare("<=", of.left, of.high))))

    def _missing(self, operand: tree.Operand) -> _Sql:
        if isinstance(operand, tree.Named):
            if operand.kind in KINDS:
                return _Sql(f"{self._row(operand.kind, operand.name)}.run IS NULL")
            if _is_many(operand):
                hit = self._many(operand, lambda c: _Sql(f"{c.text} IS NOT NULL"))
                return _Sql(f"{hit} IS NOT TRUE")
            if type_of(operand) == "text":
                return _Sql(f"NULLIF({self._attribute(operand.name).text}, '') IS NULL")
            if type_of(operand) == "truth":
                return _Sql("FALSE")
        return _Sql(f"{self._number(operand).sql.text} IS NULL", self._number(operand).sql.values)

    def _is_nan(self, operand: tree.Operand) -> _Sql:
        return self._number(operand).nan or _Sql("FALSE")

    def _per_value(self, left: tree.Operand, test: Callable[[_Sql], _Sql]) -> _Sql:
        """A test of a text; where a run can have several, as data sets, of any of them."""
        if isinstance(left, tree.Named) and _is_many(left):
            return _Sql(self._many(left, test))
        return test(self._text(left))

    # ------------------------------------------------------------------------------------ times

    def _compare_times(self, of: tree.Compare) -> _Sql:
        left, right = of.left, of.right
        if isinstance(right, tree.Text) and of.sign in ("=", "!="):
            at, is_date = self._moment(right)
            if is_date:
                # A date is its first moment, but for = and !=, where it is the whole day.
                column = self._time(left).text
                inside = f"({column} >= ? AND {column} < ?)"
                end = self._milliseconds(at + timedelta(days=1))
                text = inside if of.sign == "=" else f"NOT {inside}"
                return _Sql(text, (self._milliseconds(at), end))
        return _binary(self._time(left), of.sign, self._time(right))

    def _time(self, operand: tree.Operand) -> _Sql:
        """A moment in milliseconds since 1970."""
        if isinstance(operand, tree.Named):
            return _Sql(f"r.{operand.name}")
        if isinstance(operand, tree.Text):
            return _Sql("?", (self._milliseconds(self._moment(operand)[0]),))
        if isinstance(operand, tree.Ago):
            try:
                at = self._setting.now - timedelta(seconds=operand.seconds)
            except OverflowError as error:
                raise invalid(t("query.error.ago"), operand.at) from error
            return _Sql("?", (self._milliseconds(at),))
        value = operand.value if isinstance(operand, tree.Number) else 0
        return _Sql("?", (value if abs(value) <= _LARGEST else float(value),))

    def _moment(self, text: tree.Text) -> tuple[datetime, bool]:
        at, is_date = as_date(text.value)
        return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(self._setting.zone))), is_date

    @staticmethod
    def _milliseconds(at: datetime) -> int:
        # Dates at either end of the calendar have no timestamp in every zone.
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        offset = at.utcoffset() or timedelta()
        return (at.replace(tzinfo=UTC) - epoch - offset) // timedelta(milliseconds=1)

    # ---------------------------------------------------------------------------------- numbers

    def _number(self, operand: tree.Operand) -> _Value:
        if isinstance(operand, tree.Number):
            return _Value(_Sql("?", (_float(operand.value),)))
        if isinstance(operand, tree.Span):
            return _Value(_Sql("?", (operand.seconds,)))
        if isinstance(operand, tree.Aggregate):
            return _Value(_Sql(self._aggregate(operand)))
        if isinstance(operand, tree.Arithmetic):
            return self._arithmetic(operand)
        operand = cast(tree.Named, operand)
        if operand.kind == "metrics":
            row = self._row("metrics", operand.name)
            return _Value(_Sql(f"{row}.value"), _Sql(f"{row}.is_nan"))
        if operand.kind == "attribute":
            return _Value(self._attribute(operand.name))
        row = self._row(operand.kind, operand.name)
        if operand.kind == "params":
            return _Value(_Sql(f"{row}.number"))
        number = f"TRY_CAST({row}.value AS DOUBLE)"
        return _Value(_Sql(f"CASE WHEN isfinite({number}) THEN {number} END"))

    def _arithmetic(self, operand: tree.Arithmetic) -> _Value:
        left, right = (_with_nan(self._number(o)) for o in (operand.left, operand.right))
        # Nothing can be said of what was divided by nothing.
        second = f"NULLIF({right.text}, 0)" if operand.sign == "/" else right.text
        text = f"({left.text} {operand.sign} {second})"
        values = _values(left, right)
        return _Value(_Sql(text, values), _Sql(f"isnan({text})", values))

    def _aggregate(self, operand: tree.Aggregate) -> str:
        if operand.last is not None:
            return f"{self._tail(operand.metric, operand.last)}.mean"
        row = self._row("aggregates", operand.metric)
        if operand.function not in ("best", "step_of_best"):
            return f"{row}.{_COLUMNS[operand.function]}"
        direction = self._setting.directions(operand.metric)
        if direction is None:
            raise invalid(t("query.error.direction", metric=operand.metric[:80]), operand.at)
        column = "minimum" if direction == "lower" else "maximum"
        return f"{row}.{'step_of_' if operand.function == 'step_of_best' else ''}{column}"

    # ------------------------------------------------------------------------------------ texts

    def _text(self, operand: tree.Operand) -> _Sql:
        if isinstance(operand, tree.Text):
            return _Sql("?", (operand.value,))
        operand = cast(tree.Named, operand)
        if operand.kind == "attribute":
            return self._attribute(operand.name)
        return _Sql(f"{self._row(operand.kind, operand.name)}.value")

    def _truth(self, operand: tree.Operand) -> _Sql:
        if isinstance(operand, tree.Truth):
            return _Sql("TRUE" if operand.value else "FALSE")
        return self._attribute(cast(tree.Named, operand).name)

    def _like(self, of: tree.Like, column: _Sql) -> _Sql:
        pattern = of.pattern.value
        if of.way == "RLIKE":
            _check_expression(of.pattern)
            return _Sql(f"regexp_matches({column.text}, ?)", (*column.values, pattern))
        if self._sqlite:
            # SQLite knows no escapes here, and no upper and lower case beyond ASCII.
            if of.way == "LIKE":
                return _Sql(f"{column.text} LIKE ?", (*column.values, pattern))
            lower = pattern.translate(str.maketrans(_UPPER, _UPPER.lower()))
            folded = f"translate({column.text}, '{_UPPER}', '{_UPPER.lower()}')"
            return _Sql(f"{folded} LIKE ?", (*column.values, lower))
        if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
            raise invalid(t("query.error.escape"), of.pattern.at)
        if of.way == "LIKE":
            return _Sql(f"{column.text} LIKE ? ESCAPE '\\'", (*column.values, pattern))
        return _Sql(f"lower({column.text}) LIKE lower(?) ESCAPE '\\'", (*column.values, pattern))

    def _attribute(self, name: str) -> _Sql:
        if name in _EXPRESSIONS:
            return _Sql(_EXPRESSIONS[name])
        if name == "run_name":
            return _Sql(f"{self._row('tags', RUN_NAME_TAG)}.value")
        if name == "user":
            return _Sql(f"COALESCE(NULLIF({self._row('tags', USER_TAG)}.value, ''), r.user_id)")
        return _Sql(f"{self._experiments()}.name")

    # ------------------------------------------------------------------------------------ joins

    def _row(self, kind: str, name: str) -> str:
        """The name of a join that has the run's row of one metric, param, tag or aggregates."""
        of = "metric" if kind == "aggregates" else kind.removesuffix("s")
        return self._join(
            (kind, name),
            f"(SELECT v.* FROM {kind} v JOIN keys k ON k.id = v.key"  # noqa: S608 - no text from outside
            f" WHERE k.kind = '{of}' AND k.name = ?)",
            (name,),
        )

    def _tail(self, metric: str, last: int) -> str:
        return self._join(
            ("tail", metric, last),
            "(SELECT v.* FROM tails v JOIN keys k ON k.id = v.key"
            " WHERE k.kind = 'metric' AND k.name = ? AND v.k = ?)",
            (metric, last),
        )

    def _many(self, left: tree.Named, test: Callable[[_Sql], _Sql]) -> str:
        """Whether any of several passes a test; NULL where there are none to be tested."""
        table, column, key, own = (
            ("datasets", left.name, "run", "no")
            if left.kind == "dataset"
            else ("registered", "model", "run_id", "run_id")
        )
        made = test(_Sql(f"d.{column}"))
        rows = f"(SELECT {key}, bool_or({made.text}) AS hit FROM {table} d GROUP BY {key})"  # noqa: S608 - no text from outside
        alias = self._join((table, made.text, repr(made.values)), rows, made.values, key, own)
        return f"{alias}.hit"

    def _experiments(self) -> str:
        known = self._setting.experiments
        return self._join(
            "experiments",
            "(SELECT unnest(?::VARCHAR[]) AS id, unnest(?::VARCHAR[]) AS name)",
            (list(known), list(known.values())),
            "id",
            "experiment_id",
        )

    def _join(
        self, key: object, rows: str, values: tuple[object, ...], on: str = "run", own: str = "no"
    ) -> str:
        if key not in self._aliases:
            alias = f"f{len(self._aliases)}"
            self._aliases[key] = alias
            self.joins.append(f"LEFT JOIN {rows} {alias} ON {alias}.{on} = r.{own}")
            self.join_values += values
        return self._aliases[key]


_COLUMNS = {"min": "minimum", "max": "maximum", "first": "first", "last": "last", "mean": "mean"}
_EXPRESSIONS = {
    "run_id": "r.run_id",
    "status": "r.status",
    # The client cannot tell nobody from "", which is what MLflow keeps where nobody is named.
    "user_id": "COALESCE(r.user_id, '')",
    "artifact_uri": "r.artifact_uri",
    "experiment_id": "r.experiment_id",
    "parent": "r.parent_id",
    "start_time": "r.start_time",
    "end_time": "r.end_time",
    "duration": "((r.end_time - r.start_time) / 1000.0)",
    "deleted": "(r.lifecycle_stage = 'deleted')",
}


def _is_many(operand: tree.Named) -> bool:
    return operand.kind == "dataset" or (operand.kind, operand.name) == ("attribute", "registered")


def _negated(of: _Sql, *, negated: bool) -> _Sql:
    return _Sql(f"NOT ({of.text})", of.values) if negated else of


def _values(*parts: _Sql) -> tuple[object, ...]:
    return tuple(v for p in parts for v in p.values)


def _binary(left: _Sql, sign: str, right: _Sql) -> _Sql:
    return _Sql(f"{left.text} {sign} {right.text}", _values(left, right))


def _compare_numbers(left: _Value, sign: str, right: _Value) -> _Sql:
    plain = _binary(left.sql, sign, right.sql)
    nans = [v.nan for v in (left, right) if v.nan]
    if not nans:
        return plain
    if sign == "!=":
        text = " OR ".join([plain.text, *(n.text for n in nans)])
    else:
        text = " AND ".join([plain.text, *(f"NOT {n.text}" for n in nans)])
    values = plain.values + _values(*nans)
    if len(nans) == 1:
        return _Sql(text, values)
    # NaN against a missing value: unknown, though the NaN alone would decide it.
    known = f"({left.sql.text}) IS NOT NULL AND ({right.sql.text}) IS NOT NULL"
    return _Sql(f"CASE WHEN {known} THEN {text} END", _values(left.sql, right.sql) + values)


def _with_nan(value: _Value) -> _Sql:
    """The number itself, NaN where it is NaN: the mirror keeps 0 and a flag, as MLflow does."""
    if value.nan is None or "isnan" in value.nan.text:
        return value.sql
    text = f"CASE WHEN {value.nan.text} THEN 'nan'::DOUBLE ELSE {value.sql.text} END"
    return _Sql(text, value.nan.values + value.sql.values)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _check_expression(pattern: tree.Text) -> None:
    """Ask DuckDB whether it takes a regular expression: RE2's, which takes time in proportion to
    the text, and so has no look-around and no back-references.
    """
    with duckdb.connect() as connection:
        try:
            connection.execute("SELECT regexp_matches('', ?)", [pattern.value]).fetchall()
        except duckdb.Error as error:
            raise invalid(t("query.error.expression", typed=pattern.value[:80]), pattern.at) \
                from error  # fmt: skip
