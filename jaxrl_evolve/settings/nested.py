"""Dataclasses of settings from mappings, nested ones too, with a sentence for what does not fit."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from jaxrl_evolve.settings.checks import endless_fields
from jaxrl_evolve.settings.names import suggestion

UNWRITTEN_BY_DEFAULT = {"unwritten_by_default": True}
"""Metadata of a field that a later version added: at its default JSON leaves it out, as earlier versions wrote it,
so that their runs go on.
"""


def known_field(name: str, allowed: Iterable[str], where: str) -> None:
    """Refuse a field that is not one.

    Raises:
        ValueError: with near matches.
    """
    if name not in allowed:
        raise ValueError(f"{where} has no field {name!r}: {suggestion(name, sorted(allowed), 'it has')}")


def update(instance: Any, changes: Mapping[str, Any], where: str) -> Any:
    """A dataclass instance with fields replaced, nested ones by nested mappings.

    Raises:
        ValueError: a field is not known, or a value is not allowed.
    """
    allowed = {field.name for field in dataclasses.fields(instance)}
    values = {}
    for name, value in changes.items():
        known_field(name, allowed, where)
        old = getattr(instance, name)
        nested = dataclasses.is_dataclass(old) and isinstance(value, Mapping)
        values[name] = update(old, value, f"{where}.{name}") if nested else value
    return dataclasses.replace(instance, **values)


def written_fields(instance: Any) -> list[dataclasses.Field[Any]]:
    """The fields of a dataclass instance that JSON has: all but those that say nothing (`UNWRITTEN_BY_DEFAULT`)."""
    unwritten = lambda field: (
        UNWRITTEN_BY_DEFAULT.items() <= field.metadata.items()
        and getattr(instance, field.name) == field.default
    )
    return [field for field in dataclasses.fields(instance) if not unwritten(field)]


def from_fields(cls: Any, data: Any, where: str, types: Mapping[str, Any] | None = None) -> Any:
    """A dataclass from JSON data; lists become tuples, and null is infinity where a bound allows it.

    Args:
        cls: the dataclass.
        data: its fields.
        where: its name in messages.
        types: of fields whose types ``cls`` leaves open.

    Raises:
        ValueError: ``data`` is no object, a field is missing or unknown, or a value is not allowed.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} is {data!r}; it must be an object of fields")
    types = typing.get_type_hints(cls) | dict(types or {})
    endless = endless_fields(cls)
    values = {}
    for name, value in data.items():
        known_field(name, types, where)
        choices = (types[name], *typing.get_args(types[name]))  # an optional one is a union with None
        nested = [kind for kind in choices if dataclasses.is_dataclass(kind)]
        if nested and not (value is None and type(None) in choices):
            value = from_fields(nested[0], value, f"{where}.{name}")
        elif value is None and name in endless:
            value = math.inf
        values[name] = tuples(value)
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"{where}: {str(error).partition('() ')[2] or error}") from None


def tuples(value: Any) -> Any:
    """Lists as tuples, nested ones too."""
    return tuple(tuples(item) for item in value) if isinstance(value, list) else value
