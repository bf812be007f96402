"""The Python code that reads, through MLflow's client, the same runs as a question of ours.

Of the conditions that are joined by AND, those that MLflow knows go into its filter; the others
are written as functions of a run. What can be said in neither way stands as a comment.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from core.mlflow_api.nouns import PARENT_TAG
from core.runs.asked import Order, RunQuery
from core.runs.columns import Column
from core.runs.columns import parse as parse_column
from core.runs.directions import Direction, direction
from core.runs.language import Known, parse, quoted, quoted_text, tree
from core.runs.language.comparing import as_date, type_of
from core.runs.language.tree import Condition, Operand

_VIEWS = {"active": "ACTIVE_ONLY", "deleted": "DELETED_ONLY", "all": "ALL"}
_MLFLOW_TEXTS = ("run_id", "run_name", "status", "user_id", "artifact_uri")
_MLFLOW_TIMES = ("start_time", "end_time")
_ORDERS = {
    "started_at": "attributes.start_time",
    "ended_at": "attributes.end_time",
    "name": "attributes.run_name",
    "status": "attributes.status",
    "user": "tags.`mlflow.user`",
}
_ATTRIBUTES = {
    "run_id": "run.info.run_id",
    "run_name": "run.info.run_name",
    "status": "run.info.status",
    "user_id": "run.info.user_id",
    "artifact_uri": "run.info.artifact_uri",
    "start_time": "run.info.start_time",
    "end_time": "run.info.end_time",
    "duration": "seconds(run)",
    "user": '(run.data.tags.get("mlflow.user") or run.info.user_id)',
    "experiment_id": "run.info.experiment_id",
    "experiment": "client.get_experiment(run.info.experiment_id).name",
    "parent": f'run.data.tags.get("{PARENT_TAG}")',
    "deleted": '(run.info.lifecycle_stage == "deleted")',
}
_COLUMNS = {"name": "run_name", "started_at": "start_time", "ended_at": "end_time",
            "seconds": "duration", "parent_id": "parent"}  # fmt: skip
_HELPERS: Mapping[str, str] = {
    "known": '''def known(test, *values):
    """Unknown (None) where a value is missing."""
    return None if any(value is None for value in values) else test(*values)
''',
    "every": """def every(*parts):
    return False if False in parts else None if None in parts else True
""",
    "some": """def some(*parts):
    return True if True in parts else None if None in parts else False
""",
    "opposite": """def opposite(part):
    return None if part is None else not part
""",
    "number": '''def number(text):
    """A param or tag as a number, None where it is none."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
''',
    "seconds": """def seconds(run):
    start, end = run.info.start_time, run.info.end_time
    return None if start is None or end is None else (end - start) / 1000
""",
    "history": '''def history(run, metric):
    """The metric's values, NaN left out, by their steps."""
    points = client.get_metric_history(run.info.run_id, metric)
    points = sorted(points, key=lambda p: (p.step, p.timestamp))
    return [p for p in points if not math.isnan(p.value)]
''',
    "over": """def over(function, points):
    return function(points) if points else None
""",
}
_USES = {"number": ("math",), "history": ("math",), "like": ("re",)}


class _Beyond(Exception):
    """Cannot be said in this way."""


def client_code(
    asked: RunQuery, address: str, known: Sequence[Known] = (), now: datetime | None = None
) -> str:
    """Code that reads the runs that ``asked`` describes into a list ``runs``.

    Args:
        address: of the tracking server, without user info.
        known: what runs have, to look up names without a prefix.
        now: what ``ago`` counts from.

    Raises:
        InvalidInput: the filter cannot be understood.
    """
    writer = _Writer(asked, now or datetime.now(UTC))
    body = writer.named() if asked.run_ids else writer.searched(parse(asked.filter, known))
    body += writer.sorted()
    helpers = [text for name, text in _HELPERS.items() if any(f"{name}(" in b for b in body)]
    whole = "\n".join([*helpers, *body])
    lines = [f"import {name}" for name in ("math", "re") if f"{name}." in whole]
    lines += [*([""] if lines else []), "from mlflow import MlflowClient"]
    lines += ["from mlflow.entities import ViewType"] if "ViewType" in whole else []
    lines += ["", f"client = MlflowClient(tracking_uri={_text(address)})", ""]
    for helper in helpers:
        lines += ["", helper]
    return "\n".join([*lines, *([""] if helpers else []), *body, ""])


class _Writer:
    def __init__(self, asked: RunQuery, now: datetime) -> None:
        self._asked = asked
        self._now = now
        self._said: Mapping[str, Direction] = dict(asked.directions)

    def named(self) -> list[str]:
        """Runs by their ids."""
        ids = "\n".join(f"    {_text(i)}," for i in self._asked.run_ids)
        return [f"ids = [\n{ids}\n]", "runs = [client.get_run(i) for i in ids]"]

    def searched(self, filtered: tree.Filter) -> list[str]:
        """Runs that match: what MLflow can filter, then what is left."""
        whole = filtered.condition
        parts = whole.parts if isinstance(whole, tree.AllOf) else (whole,)
        theirs, ours, neither = [], [], []
        for part in parts:
            try:
                theirs.append(self._mlflow(part))
            except _Beyond:
                try:
                    ours.append(self._python(part))
                except _Beyond:
                    neither.append(part)
        if self._asked.nesting == "top":
            theirs.append(f"tags.`{PARENT_TAG}` IS NULL")
        lines = [
            "runs, token = [], None",
            "while True:",
            "    page = client.search_runs(",
            f"        experiment_ids={json.dumps(list(self._asked.experiment_ids))},",
            f"        filter_string={_text(' AND '.join(theirs))},",
            f"        run_view_type=ViewType.{_VIEWS[self._asked.view]},",
            "        max_results=1000,",
        ]
        order = [o for o in map(_mlflow_order, self._asked.order) if o]
        if order and len(order) == len(self._asked.order):
            lines.append(f"        order_by=[{', '.join(map(_text, order))}],")
        lines += [
            "        page_token=token,",
            "    )",
            "    runs += page",
            "    token = page.token",
            "    if not token:",
            "        break",
        ]
        if ours:
            test = f"every({', '.join(ours)})" if len(ours) > 1 else ours[0]
            lines += [
                "# What MLflow's filter cannot say:",
                f"runs = [run for run in runs if {test}]",
            ]
        if neither:
            lines.append("# One condition is left out: nothing in MLflow's client answers it."
                         if len(neither) == 1 else
                         f"# {len(neither)} conditions are left out: nothing in MLflow's client "
                         "answers them.")  # fmt: skip
        return lines

    def sorted(self) -> list[str]:
        """The order, where MLflow cannot sort so."""
        if self._asked.run_ids or all(map(_mlflow_order, self._asked.order)):
            return []
        lines = []
        for order in reversed(self._asked.order):
            try:
                value = self._column(parse_column(order.column))
            except _Beyond:
                lines.append("# The order is left out: nothing in MLflow's client gives it.")
                continue
            # What is missing comes last, whichever way the rest is sorted.
            lines += [
                f"there = [run for run in runs if {value} is not None]",
                f"missing = [run for run in runs if {value} is None]",
                f"there.sort(key=lambda run: {value}, reverse={order.descending})",
                "runs = there + missing",
            ]
        return lines

    # ------------------------------------------------------------------------ as MLflow's filter

    def _mlflow(self, of: Condition) -> str:
        if isinstance(of, tree.Compare):
            return self._mlflow_compare(of)
        if isinstance(of, tree.Like) and of.way != "RLIKE":
            return f"{self._mlflow_text(of.left)} {of.way} {quoted_text(of.pattern.value)}"
        match of:
            case tree.Missing(tree.Named("params" | "tags") as named):
                return f"{self._mlflow_text(named)} IS NULL"
            case tree.Not(tree.Missing(tree.Named("params" | "tags") as named)):
                return f"{self._mlflow_text(named)} IS NOT NULL"
        if isinstance(of, tree.OneOf) and of.left == tree.Named("attribute", "run_id"):
            texts = [v.value for v in of.values if isinstance(v, tree.Text)]
            return f"attributes.run_id IN ({', '.join(map(quoted_text, texts))})"
        raise _Beyond

    def _mlflow_compare(self, of: tree.Compare) -> str:
        left, right = of.left, of.right
        if not isinstance(left, tree.Named):
            raise _Beyond
        if left.kind == "metrics" and isinstance(right, tree.Number):
            return f"{quoted(f'metrics.{left.name}')} {of.sign} {right.typed}"
        if left.name in _MLFLOW_TIMES and left.kind == "attribute":
            if isinstance(right, tree.Text) and of.sign in ("=", "!=") and _day(right):
                raise _Beyond
            return f"attributes.{left.name} {of.sign} {self._milliseconds(right)}"
        if isinstance(right, tree.Text) and of.sign in ("=", "!="):
            return f"{self._mlflow_text(left)} {of.sign} {quoted_text(right.value)}"
        raise _Beyond

    def _mlflow_text(self, named: tree.Named) -> str:
        if named.kind in ("params", "tags"):
            return quoted(f"{named.kind}.{named.name}")
        if named.kind == "attribute" and named.name in _MLFLOW_TEXTS:
            return f"attributes.{named.name}"
        if named.kind == "dataset":
            return f"dataset.{named.name}"
        raise _Beyond

    def _milliseconds(self, operand: Operand) -> int:
        try:
            if isinstance(operand, tree.Number):
                return int(operand.value)
            if isinstance(operand, tree.Ago):
                at = self._now - timedelta(seconds=operand.seconds)
            elif isinstance(operand, tree.Text):
                at = as_date(operand.value)[0]
                at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(self._asked.zone))
            else:
                raise _Beyond
            return int(at.timestamp() * 1000)
        except OverflowError as error:
            raise _Beyond from error  # beyond the calendar

    # --------------------------------------------------------------------------------- as Python

    def _python(self, of: Condition) -> str:
        match of:
            case tree.AllOf(parts):
                return f"every({', '.join(map(self._python, parts))})"
            case tree.AnyOf(parts):
                return f"some({', '.join(map(self._python, parts))})"
            case tree.Not(part):
                return f"opposite({self._python(part)})"
            case tree.Missing(left):
                return f"({self._value(left, self._numeric(left))} is None)"
            case tree.IsNan(left):
                return f"known(lambda a: a != a, {self._value(left, True)})"
            case tree.Between(left, low, high):
                parts = (tree.Compare(">=", left, low), tree.Compare("<=", left, high))
                return self._python(tree.AllOf(parts))
            case tree.OneOf(left, values):
                return self._python(tree.AnyOf(tuple(tree.Compare("=", left, v) for v in values)))
            case tree.Like():
                return self._matches(of)
            case tree.Compare():
                return self._compares(of)
        raise _Beyond

    def _compares(self, of: tree.Compare) -> str:
        sign = {"=": "=="}.get(of.sign, of.sign)
        if "time" in (type_of(of.left), type_of(of.right)):
            left = self._value(of.left, False)
            start = self._milliseconds(of.right)
            if isinstance(of.right, tree.Text) and sign in ("==", "!=") and _day(of.right):
                end = start + 86_400_000
                word = "not " if sign == "!=" else ""
                return f"known(lambda a: {word}{start} <= a < {end}, {left})"
            return f"known(lambda a: a {sign} {start}, {left})"
        numbers = self._numeric(of.left) or self._numeric(of.right)
        left, right = self._value(of.left, numbers), self._value(of.right, numbers)
        return f"known(lambda a, b: a {sign} b, {left}, {right})"

    def _matches(self, of: tree.Like) -> str:
        value = self._value(of.left, False)
        if of.way == "RLIKE":
            return f"known(lambda a: bool(re.search({_text(of.pattern.value)}, a)), {value})"
        signs = {"%": ".*", "_": "."}
        pattern = "".join(signs.get(c) or _escaped(c) for c in of.pattern.value)
        flags = "re.DOTALL | re.IGNORECASE" if of.way == "ILIKE" else "re.DOTALL"
        test = f"bool(re.fullmatch({_text(pattern)}, a, {flags}))"
        return f"known(lambda a: {test}, {value})"

    def _numeric(self, of: Operand) -> bool:
        return type_of(of) in ("number", "span")

    def _value(self, of: Operand, number: bool) -> str:
        match of:
            case tree.Named("metrics", name):
                return f"run.data.metrics.get({_text(name)})"
            case tree.Named("params" | "tags" as kind, name):
                found = f"run.data.{kind}.get({_text(name)})"
                return f"number({found})" if number else found
            case tree.Named("attribute", name) if name in _ATTRIBUTES:
                return _ATTRIBUTES[name]
            case tree.Aggregate(function, metric, last):
                return self._aggregate(function, metric, last)
            case tree.Arithmetic(sign, left, right):
                a, b = self._value(left, True), self._value(right, True)
                if sign == "/":
                    return f"known(lambda a, b: a / b if b else None, {a}, {b})"
                return f"known(lambda a, b: a {sign} b, {a}, {b})"
            case tree.Number(value) | tree.Span(value):
                return _number(value)
            case tree.Text(text):
                return _text(text)
            case tree.Truth(value):
                return repr(value)
        raise _Beyond

    def _aggregate(self, function: str, metric: str, last: int | None) -> str:
        way = direction(metric, self._said)
        if function in ("best", "step_of_best") and way is None:
            raise _Beyond
        best = "min" if way == "lower" else "max"
        bodies: Mapping[str, Callable[[], str]] = {
            "min": lambda: "min(p.value for p in h)",
            "max": lambda: "max(p.value for p in h)",
            "first": lambda: "h[0].value",
            "last": lambda: "h[-1].value",
            "mean": lambda: f"(lambda t: sum(t) / len(t))([p.value for p in h{_tail(last)}])",
            "best": lambda: f"{best}(p.value for p in h)",
            "step_of_best": lambda: f"{best}(h, key=lambda p: p.value).step",
        }
        return f"over(lambda h: {bodies[function]()}, history(run, {_text(metric)}))"

    def _column(self, column: Column) -> str:
        if column.kind == "aggregate":
            return self._aggregate(column.function, column.name, column.last)
        name = _COLUMNS.get(column.name, column.name)
        return self._value(tree.Named(column.kind, name), number=False)


def _mlflow_order(order: Order) -> str:
    """``order`` as MLflow has it, "" where it cannot sort so."""
    way = "DESC" if order.descending else "ASC"
    if order.column in _ORDERS:
        return f"{_ORDERS[order.column]} {way}"
    column = parse_column(order.column)
    if column.kind not in ("metrics", "params", "tags") or "`" in column.name:
        return ""
    return f"{column.kind}.`{column.name}` {way}"


def _day(text: tree.Text) -> bool:
    return bool(as_date(text.value)[1])


def _tail(last: int | None) -> str:
    return "" if last is None else f"[-{last}:]"


def _escaped(c: str) -> str:
    return c if c.isalnum() or c == " " else f"\\{c}"


def _text(value: str) -> str:
    """``value`` as a literal of Python, in ASCII: nothing in it can end the literal."""
    # JSON writes what is beyond the first plane as two halves, which Python takes for two.
    return json.dumps(value) if all(c <= "\uffff" for c in value) else ascii(value)


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'
