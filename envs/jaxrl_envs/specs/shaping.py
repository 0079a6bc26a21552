"""From data to a model whose fields hold what they may, or to every fault of them that can be told at once."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from jaxrl_envs.specs.fields import allowed, bounds, choices, close_to, place
from jaxrl_envs.specs.instructions import OPERATIONS
from jaxrl_envs.specs.language import Data, Fault, SpecError
from jaxrl_envs.specs.text import refuse, shown

M = TypeVar("M", bound=BaseModel)
MOST_TOLD = 100
"""Faults that are told one by one: looking for near matches of each of any number would take as long as whoever wrote it likes."""


def newer(data: Data, model: type[BaseModel]) -> bool:
    """Whether data say that they are of a later version of the language than is read: what they mean then is not known."""
    version = data.get("version")
    return isinstance(version, int | float) and version > _newest(model)


def _newest(model: type[BaseModel]) -> float:
    return (bounds(model.model_fields["version"]) or (1, 1))[1]


def shaped(data: Any, model: type[M]) -> M:
    """Data as a spec whose fields hold what they may, each by itself.

    Args:
        data: that may be anything.
        model: what it ought to be; its field ``version`` says up to which it reads.

    Raises:
        SpecError: they do not.
    """
    if not isinstance(data, dict):
        raise refuse(f"it is {shown(data)}; it must be an object")
    if newer(data, model):
        most = f"it must be at most {_newest(model):g}; a newer jaxrl_evolve reads newer specs"
        raise refuse(most, "version", str(data["version"]))
    try:
        # As JSON: there a list is a tuple, and nothing else passes for anything.
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise SpecError(*_faults(model, error)) from None


def _faults(model: type[BaseModel], error: ValidationError) -> list[Fault]:
    """One for each place, of those within each other the innermost."""
    found: dict[str, Fault] = {}
    said = error.errors(include_url=False, include_context=False)
    for one in said[:MOST_TOLD]:
        fault = _fault(model, one["type"], one["loc"], one.get("input"))
        found.setdefault(fault.path, fault)
    deeper = lambda path: any(
        other.startswith(path) and other[len(path) : len(path) + 1] in (".", "[") for other in found
    )
    told = [fault for path, fault in found.items() if not path or not deeper(path)]
    more = len(said) - MOST_TOLD
    return [*told, *([Fault("", "", f"it has {more:,} faults more of this kind")] if more > 0 else [])]


def _fault(model: type[BaseModel], kind: str, location: tuple[int | str, ...], value: Any) -> Fault:
    if kind == "extra_forbidden":
        owner, word = place(model, location[:-1]), str(location[-1])
        fields = owner.model.model_fields if owner.model else {}
        path = f"{owner.path}.{shown(word)[1:-1]}" if owner.path else shown(word)[1:-1]
        near = close_to(word, fields)
        return Fault(
            path, "", "there is no such field" + ("" if near else f"; there are {', '.join(fields)}"), near
        )
    there = place(model, location)
    if kind == "missing":
        return Fault(there.path, "", "it must be given")
    if kind.startswith("union_tag"):
        if isinstance(value, dict) and "op" in value:
            given = value["op"]
            near = close_to(given, OPERATIONS) if isinstance(given, str) else ()
            return Fault(f"{there.path}.op", shown(given), f"it must be one of {', '.join(OPERATIONS)}", near)
        return Fault(f"{there.path}.op", "", f"it must be given, one of {', '.join(OPERATIONS)}")
    row = isinstance(location[-1], int) if location else False
    clause = allowed(there.field, row, there.end) if there.field else "it must be an object"
    near = close_to(value, map(str, choices(there.field))) if there.field and isinstance(value, str) else ()
    return Fault(there.path, shown(value), clause, near)
