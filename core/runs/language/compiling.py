"""From the tree to SQL for DuckDB over the mirror's tables: nothing typed gets into the text of it,
only bound values do.

A condition is true, false or unknown (NULL) of a run; a value that the run does not have makes it
unknown. NaN is a value: it compares false with everything, but for != which is true, as in MLflow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.runs.language import tree
from core.runs.language.comparing import as_date, is_many, type_of
from core.runs.language.fragments import (
    Sql,
    Value,
    binary,
    compare_numbers,
    negated,
    values_of,
    with_nan,
)
from core.runs.language.joins import Joins
from core.runs.language.patterns import check_expressions, like
from core.runs.language.scan import invalid
from core.runs.language.words import KINDS
from core.texts import t

RUN_NAME_TAG = "mlflow.runName"
"""Where MLflow's filter looks for a run's name."""
USER_TAG = "mlflow.user"
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


def compiled(condition: tree.Condition, setting: Setting) -> Condition:
    """The condition in SQL.

    Raises:
        InvalidInput: a pattern that is none, a metric whose direction is not known.
    """
    compiler = _Compiler(setting)
    made = compiler.condition(condition)
    check_expressions(compiler.expressions)
    joins = compiler.joins
    return Condition(made.text, made.values, joins.text, joins.values)


class _Compiler:
    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._sqlite = setting.dialect == "sqlite"
        self.joins = Joins(setting.experiments)
        self.expressions: list[tree.Text] = []

    # ------------------------------------------------------------------------------ conditions

    def condition(self, of: tree.Condition) -> Sql:
        if isinstance(of, tree.AllOf | tree.AnyOf):
            if not of.parts:
                return Sql("TRUE")
            word = " AND " if isinstance(of, tree.AllOf) else " OR "
            parts = [self.condition(p) for p in of.parts]
            return Sql(word.join(f"({p.text})" for p in parts), values_of(*parts))
        if isinstance(of, tree.Not):
            return negated(self.condition(of.part), when=True)
        if isinstance(of, tree.Missing):
            return self._missing(of.left)
        if isinstance(of, tree.IsNan):
            return self._is_nan(of.left)
        if isinstance(of, tree.Like):
            if of.way == "RLIKE":
                self.expressions.append(of.pattern)
            return self._per_value(
                of.left, lambda c: negated(like(of, c, sqlite=self._sqlite), when=of.negated)
            )
        if isinstance(of, tree.OneOf):
            return self._one_of(of)
        if isinstance(of, tree.Between):
            return self._between(of)
        return self._compare(of)

    def _compare(self, of: tree.Compare) -> Sql:
        left, right = of.left, of.right
        kinds = {type_of(left), type_of(right)}
        if "time" in kinds:
            return self._compare_times(of)
        if "truth" in kinds:
            return binary(self._truth(left), of.sign, self._truth(right))
        if kinds <= {"number", "span", "open"} and not self._as_text(of):
            return compare_numbers(self._number(left), of.sign, self._number(right))
        if isinstance(left, tree.Named) and isinstance(right, tree.Text):
            return self._per_value(
                left, lambda c: Sql(f"{c.text} {of.sign} ?", (*c.values, right.value))
            )
        return binary(self._text(left), of.sign, self._text(right))

    def _as_text(self, of: tree.Compare) -> bool:
        """Two params or tags are equal as texts; which one is larger, they tell as numbers."""
        return type_of(of.left) == type_of(of.right) == "open" and of.sign in ("=", "!=")

    def _one_of(self, of: tree.OneOf) -> Sql:
        texts = [v.value for v in of.values if isinstance(v, tree.Text)]
        if len(texts) == len(of.values) and type_of(of.left) != "time":
            return self._per_value(
                of.left,
                lambda c: negated(
                    Sql(f"list_contains(?::VARCHAR[], {c.text})", (texts, *c.values)),
                    when=of.negated,
                ),
            )
        any_of = tree.AnyOf(tuple(tree.Compare("=", of.left, v) for v in of.values))
        return negated(self.condition(any_of), when=of.negated)

    def _between(self, of: tree.Between) -> Sql:
        low = tree.Compare(">=", of.left, of.low)
        return self.condition(tree.AllOf((low, tree.Compare("<=", of.left, of.high))))

    def _missing(self, operand: tree.Operand) -> Sql:
        if isinstance(operand, tree.Named):
            if operand.kind in KINDS:
                return Sql(f"{self.joins.row(operand.kind, operand.name)}.run IS NULL")
            if is_many(operand):
                hit = self.joins.many(operand, lambda c: Sql(f"{c.text} IS NOT NULL"))
                return Sql(f"{hit} IS NOT TRUE")
            if type_of(operand) == "text":
                return Sql(f"NULLIF({self._attribute(operand.name).text}, '') IS NULL")
            if type_of(operand) == "truth":
                return Sql("FALSE")
        return Sql(f"{self._number(operand).sql.text} IS NULL", self._number(operand).sql.values)

    def _is_nan(self, operand: tree.Operand) -> Sql:
        return self._number(operand).nan or Sql("FALSE")

    def _per_value(self, left: tree.Operand, test: Callable[[Sql], Sql]) -> Sql:
        """A test of a text; where a run can have several, as data sets, of any of them."""
        if isinstance(left, tree.Named) and is_many(left):
            return Sql(self.joins.many(left, test))
        return test(self._text(left))

    # ------------------------------------------------------------------------------------ times

    def _compare_times(self, of: tree.Compare) -> Sql:
        left, right = of.left, of.right
        if isinstance(right, tree.Text) and of.sign in ("=", "!="):
            at, is_date = self._moment(right)
            if is_date:
                # A date is its first moment, but for = and !=, where it is the whole day.
                column = self._time(left).text
                inside = f"({column} >= ? AND {column} < ?)"
                end = self._milliseconds(at + timedelta(days=1))
                text = inside if of.sign == "=" else f"NOT {inside}"
                return Sql(text, (self._milliseconds(at), end))
        return binary(self._time(left), of.sign, self._time(right))

    def _time(self, operand: tree.Operand) -> Sql:
        """A moment in milliseconds since 1970."""
        if isinstance(operand, tree.Named):
            return Sql(f"r.{operand.name}")
        if isinstance(operand, tree.Text):
            return Sql("?", (self._milliseconds(self._moment(operand)[0]),))
        if isinstance(operand, tree.Ago):
            try:
                at = self._setting.now - timedelta(seconds=operand.seconds)
            except OverflowError as error:
                raise invalid(t("query.error.ago"), operand.at) from error
            return Sql("?", (self._milliseconds(at),))
        value = operand.value if isinstance(operand, tree.Number) else 0
        return Sql("?", (value if abs(value) <= _LARGEST else float(value),))

    def _moment(self, text: tree.Text) -> tuple[datetime, bool]:
        at, is_date = as_date(text.value)
        return (at if at.tzinfo else at.replace(tzinfo=_zone(self._setting.zone))), is_date

    @staticmethod
    def _milliseconds(at: datetime) -> int:
        # Dates at either end of the calendar have no timestamp in every zone.
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        offset = at.utcoffset() or timedelta()
        return (at.replace(tzinfo=UTC) - epoch - offset) // timedelta(milliseconds=1)

    # ---------------------------------------------------------------------------------- numbers

    def _number(self, operand: tree.Operand) -> Value:
        if isinstance(operand, tree.Number):
            return Value(Sql("?", (_float(operand.value),)))
        if isinstance(operand, tree.Span):
            return Value(Sql("?", (operand.seconds,)))
        if isinstance(operand, tree.Aggregate):
            return Value(Sql(self._aggregate(operand)))
        if isinstance(operand, tree.Arithmetic):
            return self._arithmetic(operand)
        operand = cast(tree.Named, operand)
        if operand.kind == "metrics":
            row = self.joins.row("metrics", operand.name)
            return Value(Sql(f"{row}.value"), Sql(f"{row}.is_nan"))
        if operand.kind == "attribute":
            return Value(self._attribute(operand.name))
        row = self.joins.row(operand.kind, operand.name)
        if operand.kind == "params":
            return Value(Sql(f"{row}.number"))
        number = f"TRY_CAST({row}.value AS DOUBLE)"
        return Value(Sql(f"CASE WHEN isfinite({number}) THEN {number} END"))

    def _arithmetic(self, operand: tree.Arithmetic) -> Value:
        left, right = (with_nan(self._number(o)) for o in (operand.left, operand.right))
        # Nothing can be said of what was divided by nothing.
        second = f"NULLIF({right.text}, 0)" if operand.sign == "/" else right.text
        text = f"({left.text} {operand.sign} {second})"
        values = values_of(left, right)
        return Value(Sql(text, values), Sql(f"isnan({text})", values))

    def _aggregate(self, operand: tree.Aggregate) -> str:
        if operand.last is not None:
            return f"{self.joins.tail(operand.metric, operand.last)}.mean"
        row = self.joins.row("aggregates", operand.metric)
        if operand.function not in ("best", "step_of_best"):
            return f"{row}.{_COLUMNS[operand.function]}"
        direction = self._setting.directions(operand.metric)
        if direction is None:
            raise invalid(t("query.error.direction", metric=operand.metric[:80]), operand.at)
        column = "minimum" if direction == "lower" else "maximum"
        return f"{row}.{'step_of_' if operand.function == 'step_of_best' else ''}{column}"

    # ------------------------------------------------------------------------------------ texts

    def _text(self, operand: tree.Operand) -> Sql:
        if isinstance(operand, tree.Text):
            return Sql("?", (operand.value,))
        operand = cast(tree.Named, operand)
        if operand.kind == "attribute":
            return self._attribute(operand.name)
        return Sql(f"{self.joins.row(operand.kind, operand.name)}.value")

    def _truth(self, operand: tree.Operand) -> Sql:
        if isinstance(operand, tree.Truth):
            return Sql("TRUE" if operand.value else "FALSE")
        return self._attribute(cast(tree.Named, operand).name)

    def _attribute(self, name: str) -> Sql:
        if name in _EXPRESSIONS:
            return Sql(_EXPRESSIONS[name])
        if name == "run_name":
            return Sql(f"{self.joins.row('tags', RUN_NAME_TAG)}.value")
        if name == "user":
            return Sql(f"COALESCE(NULLIF({self.joins.row('tags', USER_TAG)}.value, ''), r.user_id)")
        return Sql(f"{self.joins.experiments()}.name")


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


def _zone(name: str) -> tzinfo:
    """The time zone; UTC where the name is unknown, as for the times that a page shows."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
