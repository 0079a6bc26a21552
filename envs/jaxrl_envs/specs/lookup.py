"""Names that ought to refer to what is there: one of them, and all in data of which other fields may be wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard

from jaxrl_envs.specs.caps import BUILT_IN
from jaxrl_envs.specs.fields import close_to, most
from jaxrl_envs.specs.language import Data, Fault
from jaxrl_envs.specs.model import GridSpec
from jaxrl_envs.specs.text import shown

_TYPES = {
    "terrain": ("type", "on", "to"),
    "rules": ("of", "by", "near", "becomes", "spawns"),
    "predicates": ("of", "by"),
}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,23}")  # as `instructions.Name`
_ITEMS = ("needs", "at_most", "changes")


def known(path: str, name: str | None, names: Iterable[str], what: str) -> Iterator[Fault]:
    """The fault of a name that is none of those that there are.

    Args:
        path: of the field.
        name: that stands there; None is no fault.
        names: that there are.
        what: ``"type"`` or ``"predicate"``.
    """
    names = list(names)
    if name is not None and name not in names:
        near = close_to(name, names)
        there = "" if near else f"; there are {', '.join(names) or 'none'}"
        yield Fault(path, shown(name), f"there is no {what} of that name{there}", near)


def lost(data: Data) -> Iterator[Fault]:
    """Names that refer to nothing, in data whose other fields may hold anything. What is no name is left to who reads the fields.

    Args:
        data: of a grid spec, or what ought to be.
    """
    types, predicates = _named(data, "types"), _named(data, "predicates")
    there = {"type": types and [*BUILT_IN, *types], "predicate": predicates}
    for path, name, what in _references(data):
        names = there[what]
        if names and _is_name(name):
            yield from known(path, name, names, what)


def _named(data: Data, field: str) -> list[str]:
    """Names of rows; none where there are too many, or one has none that may be, since then it is not known which there are."""
    rows = data.get(field)
    if not isinstance(rows, list) or len(rows) > (most(GridSpec.model_fields[field]) or 0):
        return []
    names = [row.get("name") if isinstance(row, dict) else None for row in rows]
    found = [name for name in names if _is_name(name)]
    return found if len(found) == len(names) else []


def _is_name(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _references(data: Data) -> Iterator[tuple[str, Any, str]]:
    """Where a name may stand, what stands there, and of what it ought to be the name."""
    for part, fields in _TYPES.items():
        for path, row in _rows(data, part):
            achieved = part == "predicates" and row.get("kind") == "achieved"
            for field in fields:
                what = "predicate" if achieved and field == "of" else "type"
                yield f"{path}.{field}", row.get(field), what
            for field in _ITEMS if part == "rules" else ():
                yield from ((f"{p}.item", item.get("item"), "type") for p, item in _rows(row, field, path))
    for path, item in _rows(data.get("agent"), "inventory", "agent"):
        yield f"{path}.item", item.get("item"), "type"
    for part in ("success", "failure"):
        for path, row in _rows(data, part):
            for field in ("all", "none"):
                yield from ((at, name, "predicate") for at, name in _each(row, field, path))
    for path, row in _rows(data.get("reward"), "weights", "reward"):
        yield f"{path}.predicate", row.get("predicate"), "predicate"
    yield from ((at, name, "predicate") for at, name in _each(data, "targets"))


def _each(data: Any, field: str, path: str = "") -> Iterator[tuple[str, Any]]:
    """What a list has, with the path of each; nothing where it is none."""
    values = data.get(field) if isinstance(data, dict) else None
    here = f"{path}.{field}" if path else field
    yield from ((f"{here}[{i}]", value) for i, value in enumerate(values if isinstance(values, list) else ()))


def _rows(data: Any, field: str, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Likewise of a list of objects."""
    yield from ((at, row) for at, row in _each(data, field, path) if isinstance(row, dict))
