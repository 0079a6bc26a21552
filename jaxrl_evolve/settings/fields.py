"""Fields of nested dataclasses by dotted name: `learner.network.hidden`, read from text."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import types
import typing
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from jaxrl_evolve.settings.names import suggestion
from jaxrl_evolve.settings.nested import joined, known_field, names_inside

Settings = dict[str, Any]
"""Values by dotted name."""


_LONGEST = 30  # digits: a longer number would be a slip, and 1e999999999 takes all memory


def field_name(instance: Any, name: str) -> str:
    """The dotted name of a field as it is spelled, which may have been written with hyphens.

    Args:
        instance: a dataclass instance.
        name: fields joined by dots; an entry of a field that maps names to text is one more part, and any text.

    Raises:
        ValueError: there is no such field; with near matches.
    """
    found, whole = "", instance
    for part in name.split("."):
        if isinstance(instance, Mapping):
            found, instance = joined(found, part), None
            continue
        if not dataclasses.is_dataclass(instance):
            raise ValueError(f"{found} has no fields, so there is no {name}")
        own = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}
        elsewhere = set(names_inside(_values(whole))) - {joined(found, name) for name in own}
        field = known_field(part, own, found, sorted(elsewhere))
        found, instance = joined(found, field), own[field]
    return found


def parse_field(instance: Any, name: str, text: str) -> Any:
    """The value that ``text`` means for the field called ``name``.

    Args:
        instance: a dataclass instance.
        name: as in `field_name`.
        text: a number, a name, ``True`` or ``False``, or a tuple such as ``(64, 64)``.

    Raises:
        ValueError: there is no such field, it has fields of its own, or the text is no value of its type.
    """
    name, kind = field_name(instance, name), Any
    for part in name.split("."):
        if isinstance(instance, Mapping):
            return text
        instance, kind = getattr(instance, part), typing.get_type_hints(type(instance))[part]
    if dataclasses.is_dataclass(instance) or isinstance(instance, Mapping):
        own = instance if isinstance(instance, Mapping) else _values(instance)
        inside = ", ".join(own or ("a name",))
        raise ValueError(f"{name} has fields of its own: {name}.… with one of {inside}")
    return _parse(kind, name, text)


def whole_number(text: str) -> int:
    """The whole number that a text means: ``250_000``, ``1e6``, ``2.5e3``.

    Raises:
        ValueError: it means none.
    """
    with contextlib.suppress(InvalidOperation):
        number = Decimal(text)
        if number.is_finite() and number.adjusted() < _LONGEST and number == number.to_integral_value():
            return int(number)
    raise ValueError(f"{text!r} is no whole number, such as 250_000 or 1e6")


def _values(instance: Any) -> dict[str, Any]:
    return {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}


def _parse(kind: Any, name: str, text: str) -> Any:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        # The plain member: a traced hyperparameter is written as a float or an array.
        plain = [member for member in typing.get_args(kind) if member in (bool, int, float, str)]
        kind = plain[0] if plain else kind
    if typing.get_origin(kind) is typing.Literal:
        allowed = typing.get_args(kind)
        if text not in map(str, allowed):
            hint = suggestion(text, map(str, allowed), "it must be one of")
            raise ValueError(f"{name} is {text!r}, which is not known: {hint}")
        return next(x for x in allowed if str(x) == text)
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise _refusal(name, text, "True or False")
        return text.lower() == "true"
    if kind in (int, float):
        try:
            return whole_number(text) if kind is int else float(text)
        except ValueError:
            raise _refusal(name, text, "a whole number" if kind is int else "a number") from None
    if typing.get_origin(kind) is tuple:
        return _parse_tuple(typing.get_args(kind)[0], name, text)
    raise ValueError(f"{name} is a {kind}, which cannot be read from text")


def _parse_tuple(member: Any, name: str, text: str) -> tuple[Any, ...]:
    """``(64, 64)``, ``[1e3, 2e3]``, and of texts ``('a', 'b')``."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = None
    wanted = int | float if member in (int, float) else str
    if isinstance(value, tuple | list) and all(isinstance(item, wanted) for item in value):
        with contextlib.suppress(ValueError):
            return tuple(_parse(member, name, str(item)) for item in value)
    # An item without its brackets is the commonest slip, as in a grid of networks of one layer.
    item = text if type(value) in (int, float) else "64" if wanted is not str else "'a'"
    raise _refusal(name, text, f"a tuple such as ({item},) or ({item}, {item})")


def _refusal(name: str, text: str, allowed: str) -> ValueError:
    return ValueError(f"{name} is {text!r}; it must be {allowed}")
