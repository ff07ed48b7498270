"""The values of metric math (a scalar, a series of points, or a list of series) and the arithmetic on them.

A missing point of one side counts as 0; a time at which no side has a point yields none. A result that is no finite
number (x / 0) is dropped. Such a scalar is NaN, and an operation of a point with it drops the point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from atoll.aside import thread
from atoll.errors import metric_math as errors


@dataclass(frozen=True)
class Series:
    points: Mapping[int, float]
    """The points by the start of their period, in ms since 1970, in this order."""
    period_s: int = 60
    label: str = ""


@dataclass(frozen=True)
class Grid:
    """The periods of a request: start <= time < end."""

    start_ms: int
    end_ms: int
    period_s: int
    budget: list[int] = field(default_factory=lambda: [0])
    """The number of points that may still be computed."""

    def times(self, aligned_to_ms: int | None = None) -> range:
        step = self.period_s * 1000
        base = self.start_ms if aligned_to_ms is None else aligned_to_ms
        return range(self.start_ms + (base - self.start_ms) % step, self.end_ms, step)

    def spend(self, points: int) -> None:
        thread.pause()
        self.budget[0] -= points
        if self.budget[0] < 0:
            raise errors.too_many_points()


Array = tuple["Series | float", ...]
Value = float | Series | Array

Operation = Callable[[float, float], float]


def kind(value: object) -> str:
    match value:
        case float():
            return "Scalar"
        case Series():
            return "TimeSeries"
        case tuple():
            return "Array[TimeSeries]"
    return "String"


def _power(a: float, b: float) -> float:
    found = a**b
    return math.nan if isinstance(found, complex) else found


OPERATIONS: Mapping[str, Operation] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": _power,
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "<": lambda a, b: float(a < b),
    "<=": lambda a, b: float(a <= b),
    ">": lambda a, b: float(a > b),
    ">=": lambda a, b: float(a >= b),
    "&&": lambda a, b: float(a != 0 and b != 0),
    "||": lambda a, b: float(a != 0 or b != 0),
}


def guarded(operation: Callable[..., float], *operands: float) -> float:
    """The operation, but with NaN if an operand or the result is no finite number."""
    if any(map(math.isnan, operands)):
        return math.nan
    try:
        found = float(operation(*operands))
    except (ArithmeticError, ValueError):
        return math.nan
    return found if math.isfinite(found) else math.nan


def known(points: Iterable[tuple[int, float]]) -> dict[int, float]:
    return {time: value for time, value in points if not math.isnan(value)}


def times_of(values: Sequence[Value]) -> Iterable[int]:
    """The times at which any of the series has a point."""
    all_points = [value.points for value in values if isinstance(value, Series)]
    if len(all_points) == 1:
        return all_points[0]
    return sorted(set().union(*all_points))


def like(value: Value, others: Sequence[Value], points: Mapping[int, float]) -> Series:
    """A series of these points, with the label and period of the first series among the values."""
    first = next(one for one in (value, *others) if isinstance(one, Series))
    return replace(first, points=points)


def binary(operator: str, left: Value, right: Value, grid: Grid) -> Value:
    if isinstance(left, tuple) and isinstance(right, tuple):
        raise errors.operands(operator, [kind(left), kind(right)])
    if isinstance(left, tuple):
        return tuple([_single(binary(operator, one, right, grid)) for one in left])
    if isinstance(right, tuple):
        return tuple([_single(binary(operator, left, one, grid)) for one in right])
    return _combined(OPERATIONS[operator], left, right, grid)


def _single(value: Value) -> Series | float:
    assert not isinstance(value, tuple)
    return value


def _combined(operation: Operation, left: Series | float, right: Series | float, grid: Grid) -> Series | float:
    if isinstance(left, float) and isinstance(right, float):
        return guarded(operation, left, right)
    times = list(times_of([left, right]))
    grid.spend(len(times))
    a, b = at(left), at(right)
    return like(left, [right], known((time, guarded(operation, a(time), b(time))) for time in times))


def at(value: Series | float) -> Callable[[int], float]:
    """A function that returns the value at a time; 0 if the point is missing."""
    if isinstance(value, float):
        return lambda _: value
    points = value.points
    return lambda time: points.get(time, 0.0)


def mapped(value: Value, change: Callable[[float], float], grid: Grid) -> Value:
    """The value with each point changed by `change`."""
    if isinstance(value, tuple):
        return tuple([_single(mapped(one, change, grid)) for one in value])
    if isinstance(value, float):
        return guarded(change, value)
    grid.spend(len(value.points))
    return replace(value, points=known((time, guarded(change, one)) for time, one in value.points.items()))
