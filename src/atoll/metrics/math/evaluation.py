"""Evaluate expressions of metric math: the queries of a request together, each at most once.

`Queries` has the series of the metrics and the texts of the expressions, by their ids. An expression may refer to other
expressions, but not to itself. A malformed expression and wrong arguments raise a `Fault`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from atoll import limits
from atoll.errors import metric_math as errors
from atoll.metrics.math import functions, tree
from atoll.metrics.math.parser import parse
from atoll.metrics.math.series import Array, Grid, Series, Value, binary, kind, known, like, mapped, times_of

Search = Callable[[str, str, int], Sequence[Series]]
"""Runs SEARCH, given an expression, a statistic and a period in seconds."""
InsightRule = Callable[[str, str], Series]
"""Runs INSIGHT_RULE_METRIC, given the names of a rule and of one of its metrics."""


@dataclass
class Queries:
    grid: Grid
    metrics: Mapping[str, Series]
    """The series by query id; results of SEARCH are not among them."""
    expressions: Mapping[str, str] = field(default_factory=dict)
    search: Search | None = None
    insight_rule: InsightRule | None = None
    quotas: Mapping[str, float] = field(default_factory=dict)
    """By the ids of metrics that count what an account uses of a quota."""
    _found: dict[str, Value] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.grid = replace(self.grid, budget=[limits.MATH_POINTS])

    def series(self, id: str) -> tuple[Series, ...]:
        """The result of a query, which must be a series or a list of series."""
        value = self.value(id)
        if isinstance(value, Series):
            return (value,)
        if isinstance(value, tuple) and all(isinstance(one, Series) for one in value):
            return tuple([one for one in value if isinstance(one, Series)])
        raise errors.is_scalar()

    def value(self, id: str) -> Value:
        if id in self.metrics:
            return self.metrics[id]
        if id not in self._found:
            if id not in self.expressions:
                raise errors.unknown_id(id)
            if id in self._open:
                raise errors.circular()
            if len(self._open) >= limits.MATH_DEPTH:
                raise errors.too_deep()
            self._open.add(id)
            self._found[id] = _Evaluation(self).value(parse(self.expressions[id]))
            self._open.discard(id)
        return self._found[id]


class _Evaluation:
    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._grid = queries.grid

    def value(self, node: tree.Node) -> Value:
        match node:
            case tree.Number(number):
                return number
            case tree.Id(name):
                return self._queries.value(name)
            case tree.Negation(operand):
                return mapped(self.value(operand), lambda one: -one, self._grid)
            case tree.Chain(first, rest):
                found = self.value(first)
                for operator, operand in rest:
                    found = binary(operator, found, self.value(operand), self._grid)
                return found
            case tree.Array(items):
                return self._array(items)
            case tree.Call(function, arguments):
                return self._call(function, arguments)
            case tree.Word(name):
                raise errors.syntax(name)
            case tree.Text(text):
                raise errors.syntax(f'"{text}"')

    def _array(self, items: Sequence[tree.Node]) -> Array:
        """A list of the items; lists among them are flattened."""
        found: list[Series | float] = []
        for item in items:
            value = self.value(item)
            found += value if isinstance(value, tuple) else [value]
        self._grid.spend(len(found))
        return tuple(found)

    def _call(self, function: str, arguments: tuple[tree.Node, ...]) -> Value:
        if function in _SPECIAL:
            return _SPECIAL[function](self, function, arguments)
        if function in UNSUPPORTED:
            raise errors.unsupported_function(function)
        apply = _OF_ONE.get(function)
        if apply is None:
            raise errors.unknown_function(function)
        if len(arguments) != 1:
            raise self._wrong(function, arguments)
        return apply(function, self.value(arguments[0]), self._grid)

    def _wrong(self, function: str, arguments: Sequence[tree.Node]) -> errors.Fault:
        """The fault of arguments that the function does not take."""
        kinds = ["String" if isinstance(one, tree.Text | tree.Word) else kind(self.value(one)) for one in arguments]
        return errors.arguments(function, kinds)

    def _list(self, function: str, argument: tree.Node, arguments: Sequence[tree.Node]) -> tuple[Series, ...]:
        value = self.value(argument) if not isinstance(argument, tree.Text | tree.Word) else 0.0
        if isinstance(value, Series):
            return (value,)
        if isinstance(value, tuple) and all(isinstance(one, Series) for one in value):
            return tuple([one for one in value if isinstance(one, Series)])
        raise self._wrong(function, arguments)

    def _scalar(self, function: str, argument: tree.Node, arguments: Sequence[tree.Node]) -> float:
        value = self.value(argument) if not isinstance(argument, tree.Text | tree.Word) else ()
        if not isinstance(value, float) or value != value:
            raise self._wrong(function, arguments)
        return value

    # Functions with special arguments

    def _if(self, function: str, arguments: tuple[tree.Node, ...]) -> Value:
        if len(arguments) not in (2, 3):
            raise self._wrong(function, arguments)
        return self._chosen(function, [self.value(one) for one in arguments])

    def _chosen(self, function: str, values: list[Value]) -> Value:
        lists = [value for value in values if isinstance(value, tuple)]
        if lists:
            if len(lists) > 1:
                raise errors.arguments(function, [kind(value) for value in values])
            found = [
                self._chosen(function, [one if isinstance(value, tuple) else value for value in values])
                for one in lists[0]
            ]
            return tuple([one for one in found if not isinstance(one, tuple)])
        condition, then, *rest = values
        otherwise = rest[0] if rest else float("nan")
        if isinstance(condition, float) and not any(isinstance(one, Series) for one in (then, otherwise)):
            return then if condition != 0 else otherwise
        times = list(condition.points if isinstance(condition, Series) else times_of([then, otherwise]))
        self._grid.spend(len(times))
        points = known(
            (time, _point(then, time, 0.0) if _point(condition, time) else _point(otherwise, time)) for time in times
        )
        return like(condition, [then, otherwise], points)

    def _fill(self, function: str, arguments: tuple[tree.Node, ...]) -> Value:
        if len(arguments) != 2:
            raise self._wrong(function, arguments)
        by = arguments[1]
        value, grid = self.value(arguments[0]), self._grid
        if isinstance(by, tree.Word):
            if by.name not in _FILLS:
                raise self._wrong(function, arguments)
            return functions.each(value, lambda series: _FILLS[by.name](series, grid), function)
        filler = self.value(by) if not isinstance(by, tree.Text) else ()
        if isinstance(filler, tuple):
            raise self._wrong(function, arguments)
        return functions.each(value, lambda series: functions.filled(series, filler, grid), function)

    def _metrics(self, function: str, arguments: tuple[tree.Node, ...]) -> Value:
        match arguments:
            case ():
                part = ""
            case (tree.Text(part),):
                pass
            case _:
                raise self._wrong(function, arguments)
        return tuple([series for id, series in self._queries.metrics.items() if part in id])

    def _slice(self, function: str, arguments: tuple[tree.Node, ...]) -> Value:
        if len(arguments) not in (2, 3):
            raise self._wrong(function, arguments)
        array = self._list(function, arguments[0], arguments)
        bounds = [self._scalar(function, one, arguments) for one in arguments[1:]]
        return functions.sliced(array, bounds[0], bounds[1] if len(bounds) > 1 else None)

    def _sort(self, function: str, arguments: tuple[tree.Node, ...]) -> Value:
        match arguments:
            case (array, tree.Word(by), tree.Word(order), *rest) if (
                by in ("AVG", "MIN", "MAX", "SUM") and order in ("ASC", "DESC") and len(rest) < 2
            ):
                most = self._scalar(function, rest[0], arguments) if rest else None
                return functions.sort(self._list(function, array, arguments), by, order, most, self._grid)
        raise self._wrong(function, arguments)

    def _search(self, function: str, arguments: tuple[tree.Node, ...]) -> Value:
        if self._queries.search is None:
            raise errors.unsupported_function(function)
        match arguments:
            case (tree.Text(text), tree.Text(statistic), *rest) if len(rest) < 2:
                period = self._scalar(function, rest[0], arguments) if rest else self._grid.period_s
                return tuple(self._queries.search(text, statistic, int(period)))
        raise self._wrong(function, arguments)

    def _insight_rule(self, function: str, arguments: tuple[tree.Node, ...]) -> Value:
        if self._queries.insight_rule is None:
            raise errors.unsupported_function(function)
        match arguments:
            case (tree.Text(rule), tree.Text(metric)):
                return self._queries.insight_rule(rule, metric)
            case (tree.Text(rule), tree.Word(metric)):
                return self._queries.insight_rule(rule, metric)
        raise self._wrong(function, arguments)

    def _time_series(self, function: str, arguments: tuple[tree.Node, ...]) -> Value:
        if len(arguments) != 1:
            raise self._wrong(function, arguments)
        return functions.constant(self._scalar(function, arguments[0], arguments), self._grid)

    def _period(self, function: str, arguments: tuple[tree.Node, ...]) -> Value:
        if len(arguments) != 1:
            raise self._wrong(function, arguments)
        value = self.value(arguments[0])
        if not isinstance(value, Series):
            raise self._wrong(function, arguments)
        return float(value.period_s)

    def _quota(self, function: str, arguments: tuple[tree.Node, ...]) -> Value:
        match arguments:
            case (tree.Id(name),) if name in self._queries.quotas:
                series, quota = self._queries.metrics[name], self._queries.quotas[name]
                self._grid.spend(len(series.points))
                return replace(series, points=dict.fromkeys(series.points, quota))
        raise self._wrong(function, arguments)

    def _of_list(self, function: str, arguments: tuple[tree.Node, ...]) -> Value:
        if len(arguments) != 1:
            raise self._wrong(function, arguments)
        array = self._list(function, arguments[0], arguments)
        if function == "METRIC_COUNT":
            return float(len(array))
        if function == "REMOVE_EMPTY":
            return tuple([series for series in array if series.points])
        if not array:
            raise self._wrong(function, arguments)
        return array[0 if function == "FIRST" else -1]


def _point(value: Value, time: int, missing: float = float("nan")) -> float:
    assert not isinstance(value, tuple)
    return value if isinstance(value, float) else value.points.get(time, missing)


_FILLS: Mapping[str, Callable[[Series, Grid], Series]] = {
    "REPEAT": functions.repeated,
    "LINEAR": functions.interpolated,
}

_OF_ONE: Mapping[str, Callable[[str, Value, Grid], Value]] = {
    **dict.fromkeys(functions.POINTWISE, functions.pointwise),
    **dict.fromkeys(functions.OF_SERIES, functions.of_series),
    **dict.fromkeys(functions.OF_TIME, functions.of_time),
    **dict.fromkeys(functions.AGGREGATES, functions.aggregate),
    "DATAPOINT_COUNT": lambda _, value, grid: functions.datapoint_count(value, grid),
}

_SPECIAL: Mapping[str, Callable[[_Evaluation, str, tuple[tree.Node, ...]], Value]] = {
    "IF": _Evaluation._if,
    "FILL": _Evaluation._fill,
    "METRICS": _Evaluation._metrics,
    "SLICE": _Evaluation._slice,
    "SORT": _Evaluation._sort,
    "SEARCH": _Evaluation._search,
    "INSIGHT_RULE_METRIC": _Evaluation._insight_rule,
    "TIME_SERIES": _Evaluation._time_series,
    "PERIOD": _Evaluation._period,
    "SERVICE_QUOTA": _Evaluation._quota,
    **dict.fromkeys(("METRIC_COUNT", "REMOVE_EMPTY", "FIRST", "LAST"), _Evaluation._of_list),
}

UNSUPPORTED = frozenset(["ANOMALY_DETECTION_BAND", "DB_PERF_INSIGHTS", "LAMBDA"])


def check(text: str) -> tree.Node:
    """Parse an expression; raise the fault of an unknown or unsupported function."""
    parsed = parse(text)
    for function in sorted(tree.functions(parsed)):
        if function in UNSUPPORTED:
            raise errors.unsupported_function(function)
        if function not in _SPECIAL and function not in _OF_ONE:
            raise errors.unknown_function(function)
    return parsed
