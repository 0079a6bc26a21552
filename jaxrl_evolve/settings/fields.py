"""Fields of nested dataclasses by dotted name: `learner.network.hidden`, read from text and replaced."""

from __future__ import annotations

import ast
import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from jaxrl_evolve.settings.names import suggestion
from jaxrl_evolve.settings.nested import update

Settings = dict[str, Any]
"""Values by dotted name."""


def replace_fields(instance: Any, settings: Mapping[str, Any]) -> Any:
    """A dataclass instance with the fields in ``settings`` replaced.

    Raises:
        ValueError: a value is not allowed there.
    """
    changes: dict[str, Any] = {}
    for name, value in settings.items():
        *path, last = name.split(".")
        place, there = changes, instance
        for part in path:
            there = there[part] if isinstance(there, Mapping) else getattr(there, part)
            # A mapping is one value, so that a change of one entry must keep the others.
            place = place.setdefault(part, dict(there) if isinstance(there, Mapping) else {})
        place[last] = value
    return update(instance, changes, type(instance).__name__)


def parse_field(instance: Any, name: str, text: str) -> Any:
    """The value that ``text`` means for the field called ``name``.

    Args:
        instance: a dataclass instance.
        name: fields joined by dots; an entry of a field that maps names to text is one more part.
        text: a number, a name, ``True`` or ``False``, or a tuple such as ``(64, 64)``.

    Raises:
        ValueError: there is no such field, it has fields of its own, or the text is no value of its type.
    """
    kind: Any = type(instance)
    for i, part in enumerate(name.split(".")):
        parent = ".".join(name.split(".")[:i])
        if isinstance(instance, Mapping):
            return text
        if not dataclasses.is_dataclass(instance):
            raise ValueError(f"{parent} has no fields, so there is no {name}")
        hints = typing.get_type_hints(type(instance))
        if part not in hints:
            hint = suggestion(part, hints, "it has")
            raise ValueError(f"{parent or 'a configuration'} has no field {part!r}: {hint}")
        instance, kind = getattr(instance, part), hints[part]
    if dataclasses.is_dataclass(instance) or isinstance(instance, Mapping):
        own = instance if isinstance(instance, Mapping) else typing.get_type_hints(type(instance))
        inside = ", ".join(own or ("a name",))
        raise ValueError(f"{name} has fields of its own: {name}.… with one of {inside}")
    return _parse(kind, name, text)


def _parse(kind: Any, name: str, text: str) -> Any:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        # The plain member: a traced hyperparameter is written as a float or an array.
        plain = [member for member in typing.get_args(kind) if member in (bool, int, float, str)]
        kind = plain[0] if plain else kind
    if typing.get_origin(kind) is typing.Literal:
        allowed = typing.get_args(kind)
        if text not in map(str, allowed):
            raise _refusal(name, text, f"one of {', '.join(map(str, allowed))}")
        return next(x for x in allowed if str(x) == text)
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise _refusal(name, text, "True or False")
        return text.lower() == "true"
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise _refusal(name, text, "a whole number" if kind is int else "a number") from None
    if typing.get_origin(kind) is tuple:
        members = set(typing.get_args(kind)) - {Ellipsis}
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = None
        if not isinstance(value, tuple | list) or {type(x) for x in value} - members:
            raise _refusal(name, text, "a tuple such as (64, 64)")
        return tuple(value)
    raise ValueError(f"{name} is a {kind}, which cannot be read from text")


def _refusal(name: str, text: str, allowed: str) -> ValueError:
    return ValueError(f"{name} is {text!r}; it must be {allowed}")
