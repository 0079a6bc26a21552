"""What a setting may be: bounds beside the fields of a dataclass, and one function that refuses what is outside.

    epochs: Annotated[int, AtLeast(1)] = 4
    gamma: Annotated[Scalar, Between(0.0, 1.0)] = 0.99
    hidden: Annotated[tuple[int, ...], NotEmpty(), AtLeast(1)] = (64, 64)

Types alone say much: a switch is no number, a whole number does for a float, text with `Literal` choices is one of
them, and numbers are finite. A whole number may be written as 1e6 or come from NumPy: it becomes an int.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NamedTuple

from jaxrl_evolve.settings.names import suggestion


@dataclass(frozen=True)
class AtLeast:
    """A number of at least ``low``; in a tuple, every one of them. ``infinite`` allows infinity."""

    low: float
    infinite: bool = False

    def __contains__(self, value: float) -> bool:
        return value >= self.low

    def __str__(self) -> str:
        return f"of at least {self.low:g}"


@dataclass(frozen=True)
class Above:
    """A number above ``low``; in a tuple, every one of them. ``infinite`` allows infinity."""

    low: float
    infinite: bool = False

    def __contains__(self, value: float) -> bool:
        return value > self.low

    def __str__(self) -> str:
        return f"above {self.low:g}"


@dataclass(frozen=True)
class Between:
    """A number from ``low`` to ``high``, both allowed; in a tuple, every one of them."""

    low: float
    high: float
    infinite: bool = False

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"between {self.low:g} and {self.high:g}"


@dataclass(frozen=True)
class NotEmpty:
    """A tuple or text with something in it."""


Bound = AtLeast | Above | Between


class _Kind(NamedTuple):
    """A field's type without its markers, and these."""

    hint: Any
    bounds: tuple[Bound, ...]
    filled: bool


def whole(name: str, value: Any, least: int) -> int:
    """The whole number of at least ``least`` that a value is, of whatever type.

    Raises:
        ValueError: naming the field, the value, and what is allowed.
    """
    value = settled(value, int)
    _require(name, value, _Kind(int, (AtLeast(least),), False))
    return value


def root_seed(name: str, value: Any) -> None:
    """Refuse what cannot be the root of randomness: a key is made of 32 bits, and larger numbers would be the same key as
    smaller ones.

    Raises:
        ValueError: naming the field, the value, and what is allowed.
    """
    if whole(name, value, 0) >= 2**32:
        raise ValueError(f"{name} is {value}; it must be a whole number from 0 to {2**32 - 1}")


MOST = 2**31 - 1
"""What int32 counts to, by which arrays are indexed and updates counted."""


def countable(num_envs: int, rollout_length: int, steps: int = 1) -> None:
    """Refuse sizes of updates, and numbers of them, that int32 cannot count.

    Raises:
        ValueError: naming the fields, their values, and what is allowed.
    """
    size = num_envs * rollout_length
    if size > MOST:
        raise ValueError(
            f"num_envs is {num_envs:,} and rollout_length {rollout_length:,}; their product must be below 2^31"
        )
    if (updates := -(-steps // size)) > MOST:
        raise ValueError(
            f"steps is {steps:,}, which are {updates:,} updates of {size:,} steps; there must be fewer than 2^31"
        )


def check(instance: Any, where: str = "") -> None:
    """Refuse a dataclass with a value that is not of its field's type, or outside the bounds beside it.

    Dataclasses inside are walked. Whole numbers of other types become ints, in place: they are equal to what was there,
    and have its hash. Arrays in place of numbers pass untouched: they may be traced, and then have no value yet. So do
    fields of types that are not known here.

    Args:
        instance: of a dataclass.
        where: its name in messages, before the field's.

    Raises:
        ValueError: naming the field by dots, the value, and what is allowed.
    """
    for name, kind in _kinds(type(instance)).items():
        given = getattr(instance, name)
        value = settled(given, kind.hint)
        if value is not given:
            object.__setattr__(instance, name, value)  # it may be frozen
        _require(f"{where}.{name}" if where else name, value, kind)


def settled(value: Any, hint: Any) -> Any:
    """A value with ints for the whole numbers of other types (1e6, NumPy's), where its type has ints and no floats; the
    very same object where there are none.

    Args:
        value: whatever is there, a tuple too.
        hint: its type, as annotated.
    """
    hint = _kind(hint).hint
    kinds = [_kind(member).hint for member in _members(hint) or (hint,)]
    if int in kinds and float not in kinds and type(value) is not int and _is_whole(value):
        return int(value)
    tuples = [kind for kind in kinds if typing.get_origin(kind) is tuple]
    if isinstance(value, tuple) and tuples:
        inside = typing.get_args(tuples[0])
        hints = inside[:1] * len(value) if inside[-1:] == (...,) else inside
        items = [settled(item, each) for item, each in zip(value, hints, strict=False)]
        if any(item is not old for item, old in zip(items, value, strict=False)):
            return (*items, *value[len(items) :])
    return value


def _is_whole(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())


def endless_fields(cls: type) -> set[str]:
    """Names of the fields whose bounds allow infinity, which JSON has no number for."""
    return {name for name, kind in _kinds(cls).items() if any(bound.infinite for bound in kind.bounds)}


@functools.cache
def _kinds(cls: type) -> dict[str, _Kind]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: _kind(hints[field.name]) for field in dataclasses.fields(cls)}


def _kind(hint: Any, outer: tuple[Bound, ...] = ()) -> _Kind:
    if typing.get_origin(hint) is not typing.Annotated:
        return _Kind(hint, outer, False)
    hint, *markers = typing.get_args(hint)
    bounds = tuple(marker for marker in markers if isinstance(marker, Bound))
    return _Kind(hint, outer + bounds, any(isinstance(marker, NotEmpty) for marker in markers))


def _require(name: str, value: Any, kind: _Kind) -> None:
    if not _allowed(value, kind):
        choices = _choices(kind.hint)
        if choices and isinstance(value, str):
            hint = suggestion(value, map(str, choices), "it must be one of")
            raise ValueError(f"{name} is {value!r}, which is not known: {hint}")
        raise ValueError(f"{name} is {value!r}; it must be {_described(kind)}")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        check(value, name)


def _allowed(value: Any, kind: _Kind) -> bool:
    if members := _members(kind.hint):
        return any(_allowed(value, _kind(member, kind.bounds)) for member in members)
    if choices := _choices(kind.hint):
        return any(type(value) is type(choice) and value == choice for choice in choices)
    if typing.get_origin(kind.hint) is tuple:
        return _allowed_tuple(value, kind)
    if kind.hint in (int, float):
        return _allowed_number(value, kind)
    return _of_type(value, kind.hint) and not (kind.filled and value == "")


def _allowed_tuple(value: Any, kind: _Kind) -> bool:
    if not isinstance(value, tuple) or (kind.filled and not value):
        return False
    inside = typing.get_args(kind.hint)
    hints = inside[:1] * len(value) if inside[-1:] == (...,) else inside
    return len(hints) == len(value) and all(
        _allowed(item, _kind(hint, kind.bounds)) for item, hint in zip(value, hints, strict=True)
    )


def _allowed_number(value: Any, kind: _Kind) -> bool:
    if kind.hint is float and not isinstance(value, Real) and hasattr(value, "dtype"):
        return True  # an array: it may be traced, and then has no value yet
    if isinstance(value, bool) or not isinstance(value, Integral if kind.hint is int else Real):
        return False
    finite = math.isfinite(value) or (value == math.inf and any(bound.infinite for bound in kind.bounds))
    return finite and all(float(value) in bound for bound in kind.bounds)


def _of_type(value: Any, hint: Any) -> bool:
    """Whether the value is of the type; true of what is no type that an instance can be asked for."""
    try:
        return isinstance(value, typing.get_origin(hint) or hint)
    except TypeError:
        return True


def _members(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else ()


def _choices(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()


def _described(kind: _Kind) -> str:
    """What is allowed, in words."""
    hint = kind.hint
    if members := _members(hint):
        # Arrays need no mention beside the number that they stand for.
        told = [member for member in members if getattr(member, "__name__", "") != "Array"]
        return " or ".join(_described(_kind(member, kind.bounds)) for member in told)
    if choices := _choices(hint):
        return f"one of {', '.join(map(str, choices))}"
    if hint in (int, float):
        what = "a whole number" if hint is int else "a number" if kind.bounds else "a finite number"
        return " ".join([what, *map(str, kind.bounds)])
    if typing.get_origin(hint) is tuple:
        each = " and ".join(_described(_kind(part, kind.bounds)) for part in typing.get_args(hint)[:1])
        return f"a tuple{' with something in it' if kind.filled else ''}, each {each}"
    if hint in (bool, str):
        return "True or False" if hint is bool else "text that is not empty" if kind.filled else "text"
    return "None" if hint is type(None) else f"of type {getattr(hint, '__name__', hint)}"
