"""From the words of a model to candidates: JSON wherever it stands, as data, and nothing else."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

from jaxrl_evolve.files import Unreadable
from jaxrl_evolve.generation.archive import Archive
from jaxrl_evolve.generation.proposal import Candidate
from jaxrl_evolve.generation.texts import strict_json

_FENCE = re.compile(r"```[ \t]*(?:(?:json|JSON)[ \t]*)?\r?\n(.*?)```", re.DOTALL)
_MOST_BLOCKS = 64
_MOST_ITEMS = 256  # of which each is looked at: a few bytes can be the beginning of much work
_LIST = "environments"


def candidates_in(text: str, archive: Archive, author: str, operator: str) -> list[Candidate]:
    """What an answer proposes.

    Args:
        text: the answer.
        archive: in which parents are found by the first letters of their identities.
        author: who wrote it.
        operator: how it came to be.

    Raises:
        Unreadable: there is no JSON in it, or none with environments.
    """
    return [_candidate(item, archive, author, operator) for item in items_in(text)]


def items_in(text: str) -> list[Any]:
    """The elements of an answer: of one object with a list of them, of a bare list, or of several blocks, one object each.

    Raises:
        Unreadable: there are none, or too many.
    """
    try:
        data = [strict_json(text)]
    except Unreadable as error:
        blocks = [found[1] for found in islice(_FENCE.finditer(text), _MOST_BLOCKS)] or _first_object(text)
        if not blocks:
            raise Unreadable(f"there is no JSON in the answer: {error}") from None
        data = [strict_json(block) for block in blocks]
    items = [item for each in data for item in _items(each)]
    if len(items) > _MOST_ITEMS:
        raise Unreadable(f"it has {len(items):,} environments, more than the {_MOST_ITEMS} that are read")
    return items


def _items(data: Any) -> list[Any]:
    if isinstance(data, dict):
        data = data.get(_LIST, [data])
    if not isinstance(data, list):
        raise Unreadable(f"{_LIST} must be a list")
    return data


def _first_object(text: str) -> list[str]:
    """The JSON object that begins with the first brace, where words stand around it."""
    start = text.find("{")
    if start < 0:
        return []
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return []
    return [text[start:end]]


def _candidate(item: Any, archive: Archive, author: str, operator: str) -> Candidate:
    if not isinstance(item, dict) or "spec" not in item:
        return Candidate(item, author, operator)  # a bare spec, as some write it
    said = lambda name: item[name] if isinstance(item.get(name), str) else ""
    begins = said("parent")
    parents = [i for i in archive.entries if len(begins) >= 8 and i.startswith(begins)]
    return Candidate(
        item["spec"],
        author,
        operator,
        tuple(parents) if len(parents) == 1 else (),
        said("target"),
        said("purpose"),
    )
