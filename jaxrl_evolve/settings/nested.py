"""Dataclasses of settings from mappings, nested ones too, with a sentence for what does not fit."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jaxrl_evolve.settings.checks import endless_fields, settled
from jaxrl_evolve.settings.names import spelled, suggestion

UNWRITTEN_BY_DEFAULT = {"unwritten_by_default": True}
"""Metadata of a field that a later version added: at its default JSON leaves it out, as earlier versions wrote it,
so that their runs go on.
"""


class MissingFields(ValueError):
    """Fields without a default are not there; the message names all of them."""


def without_default(cls: Any) -> list[str]:
    """Names of the fields of a dataclass that whoever makes one has to give."""
    return [
        field.name
        for field in dataclasses.fields(cls)
        if field.default is field.default_factory is dataclasses.MISSING
    ]


def require_fields(cls: Any, given: Iterable[str], where: str = "") -> None:
    """Refuse names that do not have all the fields without a default.

    Raises:
        MissingFields: naming those that are not there.
    """
    missing = [joined(where, name) for name in without_default(cls) if name not in set(given)]
    if missing:
        listed = " and ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
        raise MissingFields(f"{listed} {'are' if missing[1:] else 'is'} missing")


def known_field(name: str, allowed: Iterable[str], where: str = "", inside: Iterable[str] = ()) -> str:
    """A field as it is spelled, which may have been written with hyphens.

    Args:
        name: as it was written.
        allowed: fields that there are.
        where: what has them, by its dotted name; empty for a whole configuration.
        inside: dotted names of fields further inside, which may be meant.

    Raises:
        ValueError: there is no such field; with near matches.
    """
    allowed, field = sorted(allowed), spelled(name)
    if field not in allowed:
        owner = f"{where} has" if where else "there is"
        raise ValueError(f"{owner} no field {name!r}: {suggestion(field, allowed, 'it has', inside)}")
    return field


def names_inside(fields: Mapping[str, Any], where: str = "") -> list[str]:
    """Dotted names of the fields of dataclasses inside, nested ones too.

    Args:
        fields: types or values by name.
        where: what stands before each.
    """
    found: list[str] = []
    for name, thing in fields.items():
        if dataclasses.is_dataclass(thing):
            known = dataclasses.fields(thing)
            own = {field.name: getattr(thing, field.name, None) for field in known}
            if isinstance(thing, type):
                own |= {n: t for n, t in typing.get_type_hints(thing).items() if n in own}
            found += [f"{where}{name}.{inner}" for inner in own]
            found += names_inside(own, f"{where}{name}.")
    return found


def joined(where: str, name: str) -> str:
    """A field's dotted name; ``where`` is empty for a whole configuration."""
    return f"{where}.{name}" if where else name


@contextlib.contextmanager
def within(where: str, cls: Any) -> Iterator[None]:
    """What a dataclass says of its own fields while it is made, with the place where it lies.

    Raises:
        ValueError: with ``where`` before the field, if the message begins with a field's name.
    """
    try:
        yield
    except ValueError as error:
        first = re.match(r"\w+", str(error))
        if where and first and first[0] in {field.name for field in dataclasses.fields(cls)}:
            raise ValueError(f"{where}.{error}") from None
        raise


def expanded(changes: Mapping[str, Any], there: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Values by name, dotted names as mappings: ``{"hp.clip": 0.1, "hp": {"gamma": 1.0}}`` is
    ``{"hp": {"gamma": 1.0, "clip": 0.1}}``. Names further inside are left to whoever reads these.

    Args:
        changes: values by name.
        there: what the fields hold by now. A mapping is one value, so that a dotted name keeps its other entries.

    Raises:
        ValueError: a field is given both ways.
    """
    done = {name: value for name, value in changes.items() if "." not in name}
    dotted: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        first, dot, rest = name.partition(".")
        if dot:
            dotted.setdefault(spelled(first), {})[rest] = value
    for first, inside in dotted.items():
        old = (there or {}).get(first)
        given = done.get(first, dict(old) if isinstance(old, Mapping) and first not in done else {})
        if not isinstance(given, Mapping):
            raise ValueError(
                f"{first} is given as a whole, and {first}.{min(inside)} besides: leave one away"
            )
        if first in done and (twice := sorted(inside.keys() & given.keys())):
            raise ValueError(f"{first}.{twice[0]} is given twice, by its dotted name and within {first}")
        done[first] = {**given, **inside}
    return done


def update(instance: Any, changes: Mapping[str, Any], where: str = "") -> Any:
    """A dataclass instance with fields replaced, nested ones by nested mappings.

    Args:
        instance: of a dataclass.
        changes: values by name, which may be dotted.
        where: its dotted name in messages; empty for a whole configuration.

    Raises:
        ValueError: a field is not known or given twice, or a value is not allowed.
    """
    own = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}
    values: dict[str, Any] = {}
    for written, value in expanded(changes, own).items():
        name = known_field(written, own, where, names_inside(own, f"{where}." if where else ""))
        nested = dataclasses.is_dataclass(own[name]) and isinstance(value, Mapping)
        values[name] = update(own[name], value, joined(where, name)) if nested else value
    with within(where, instance):
        return dataclasses.replace(instance, **values)


def changed(cls: Any, values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the fields of a dataclass that is still to be made, with changes.

    Args:
        cls: the dataclass.
        values: to start from, by name.
        changes: fields to replace, whose names may be dotted. Those that hold dataclasses take mappings of the fields to
            change, or whole objects.

    Raises:
        ValueError: a field is not known or given twice, or a value is not allowed.
    """
    allowed, done = {field.name for field in dataclasses.fields(cls)}, dict(values)
    for written, value in expanded(changes, done).items():
        name = known_field(written, allowed, inside=names_inside(values))
        nested = dataclasses.is_dataclass(done.get(name)) and isinstance(value, Mapping)
        done[name] = update(done[name], value, name) if nested else value
    return done


def written_fields(instance: Any) -> list[dataclasses.Field[Any]]:
    """The fields of a dataclass instance that JSON has: all but those that say nothing (`UNWRITTEN_BY_DEFAULT`)."""
    return [field for field in dataclasses.fields(instance) if not _unwritten(instance, field)]


def _unwritten(instance: Any, field: dataclasses.Field[Any]) -> bool:
    if not UNWRITTEN_BY_DEFAULT.items() <= field.metadata.items():
        return False
    made = field.default_factory
    default = field.default if made is dataclasses.MISSING else made()
    return getattr(instance, field.name) == default


def from_fields(cls: Any, data: Any, where: str = "", types: Mapping[str, Any] | None = None) -> Any:
    """A dataclass from JSON data; lists become tuples, whole numbers may be written as 1e6, and null is infinity where
    a bound allows it.

    Args:
        cls: the dataclass.
        data: its fields, whose names may be dotted.
        where: its dotted name in messages; empty for a whole configuration.
        types: of fields whose types ``cls`` leaves open.

    Raises:
        ValueError: ``data`` is no object, a field is missing, unknown or given twice, or a value is not allowed.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{where or 'the configuration'} is {data!r}; it must be an object of fields")
    types = typing.get_type_hints(cls) | dict(types or {})
    endless = endless_fields(cls)
    values: dict[str, Any] = {}
    for written, value in expanded(data).items():
        name = known_field(written, types, where, names_inside(types, f"{where}." if where else ""))
        choices = (types[name], *typing.get_args(types[name]))  # an optional one is a union with None
        nested = [kind for kind in choices if dataclasses.is_dataclass(kind)]
        if nested and not (value is None and type(None) in choices):
            value = from_fields(nested[0], value, joined(where, name))
        elif value is None and name in endless:
            value = math.inf
        values[name] = settled(tuples(value), types[name])
    require_fields(cls, values, where)
    with within(where, cls):
        return cls(**values)


def tuples(value: Any) -> Any:
    """Lists as tuples, nested ones too."""
    return tuple(tuples(item) for item in value) if isinstance(value, list) else value
