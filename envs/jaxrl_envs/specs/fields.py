"""What a field of a spec may hold, in words, and which field a place in the data is."""

from __future__ import annotations

import difflib
import functools
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jaxrl_envs.specs.instructions import OPERATIONS, Span


class Place(NamedTuple):
    """Where in a spec.

    Attributes:
        path: as in ``rules[2].chance``.
        field: that it is; None of the whole and of what is no field.
        model: what the value there is made of, where that is an object or a list of them; None if not, or if several are possible.
        end: whether it is one end of a range, of which ``field`` has the bounds.
    """

    path: str
    field: FieldInfo | None
    model: type[BaseModel] | None
    end: bool = False


def place(top: type[BaseModel], location: Sequence[int | str]) -> Place:
    """The place of a location as pydantic tells it, in which names of members of unions are mixed with those of fields."""
    path, field, model = "", None, top
    several = end = False
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif model is not None and part in model.model_fields:
            end = model is Span
            field = field if end else model.model_fields[part]
            path += f".{part}" if path else part
            inside = models(field.annotation) if field and not end else []
            model, several = inside[0] if len(inside) == 1 else None, len(inside) > 1
        elif several and part in OPERATIONS:
            model, several = OPERATIONS[part], False
    return Place(path, field, model, end)


def models(annotation: Any) -> list[type[BaseModel]]:
    """The models within an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inside in typing.get_args(annotation) for model in models(inside)]


def bounds(field: FieldInfo) -> tuple[float, float] | None:
    """The least and the greatest number of a field, where it has such."""
    if isinstance(field.json_schema_extra, dict):
        extra: dict[str, Any] = dict(field.json_schema_extra)
        return extra["low"], extra["high"]
    said = {name: getattr(m, name) for m in field.metadata for name in ("ge", "le") if hasattr(m, name)}
    if "le" not in said:
        return None
    return said.get("ge", 0), said["le"]


def spans(field: FieldInfo) -> bool:
    """Whether a field takes a range."""
    return Span in models(field.annotation)


@functools.cache
def ranged(model: type[BaseModel]) -> frozenset[str]:
    """Names of a model's fields that take a range."""
    return frozenset(name for name, field in model.model_fields.items() if spans(field))


def whole(field: FieldInfo) -> bool:
    """Whether a field takes whole numbers only."""
    if isinstance(field.json_schema_extra, dict):
        return bool(field.json_schema_extra["whole"])
    return int in _members(field.annotation)


def counts(field: FieldInfo) -> bool:
    """Whether a number there, where it is no range, must be written without a point."""
    return int in _members(field.annotation)


def choices(field: FieldInfo) -> tuple[Any, ...]:
    """What a field, or a row of its list, chooses among; empty where it does not."""
    rows = (typing.get_args(m)[0] if typing.get_origin(m) is tuple else m for m in _members(field.annotation))
    return next((typing.get_args(m) for m in rows if typing.get_origin(m) is Literal), ())


def most(field: FieldInfo) -> int | None:
    """How many rows or letters it may have."""
    of_field = [m.max_length for m in field.metadata if hasattr(m, "max_length")]
    return of_field[0] if of_field else None


def is_list(field: FieldInfo) -> bool:
    """Whether it holds rows."""
    return any(typing.get_origin(m) is tuple for m in _members(field.annotation))


def nullable(field: FieldInfo) -> bool:
    """Whether it may be null."""
    return type(None) in _members(field.annotation)


def _members(annotation: Any) -> tuple[Any, ...]:
    """Members of a union, or the one that there is; what `Annotated` says is left out."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(inner for member in typing.get_args(annotation) for inner in _members(member))
    return (annotation,)


def allowed(field: FieldInfo, row: bool = False, end: bool = False) -> str:
    """A clause: what a field must be.

    Args:
        field: of a model.
        row: whether one row of its list is meant.
        end: whether one end of its range is.
    """
    ends = bounds(field)
    kind = "whole number" if whole(field) else "number"
    if is_list(field) and not row and not field.description:
        said = f"a list of at most {most(field)}"
    elif options := choices(field):
        said = f"one of {', '.join(options)}"
    elif field.description:
        said = field.description
    elif ends is not None:
        said = f"a {kind} from {ends[0]:g} to {ends[1]:g}"
        said += ", or an object with low and high" if spans(field) and not end else ""
    elif bool in _members(field.annotation):
        said = "true or false"
    elif inside := models(field.annotation):
        said = (
            f"an object with the fields {', '.join(inside[0].model_fields)}"
            if len(inside) == 1
            else "an object with op and what that takes"
        )
    elif _is_text(field):
        said = f"text of at most {most(field)} characters"
    else:
        said = "a name: a small letter, then small letters, digits, - or _, at most 24 in all"
    return f"it must be {said}{', or null' if nullable(field) and not row and not end else ''}"


def _is_text(field: FieldInfo) -> bool:
    return field.annotation is str and not any(hasattr(m, "pattern") for m in field.metadata)


def close_to(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """Known names that a word may mean, at most three, the likeliest first."""
    alike = lambda other: difflib.SequenceMatcher(None, word.lower(), other).ratio()
    found = difflib.get_close_matches(word.lower(), list(known), n=3, cutoff=0.6)
    return tuple(other for other in found if alike(other) > alike(found[0]) - 0.1)
