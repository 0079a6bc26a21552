"""Parts of a sweep: which points each of several machines trains, without a word between them."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

from jaxrl_evolve.storage import kinds


def of_part(plan: Any, part: str) -> Any:
    """The part of a sweep's plan that one machine trains.

    Points are dealt in their order, to each part as many as to any other, or one more or less; so those of one program
    stay together, and every machine comes to the same parts.

    Args:
        plan: the whole, with ``shapes`` that have ``points``.
        part: its number, from 1, and how many there are, as ``"2/4"``.

    Raises:
        ValueError: it does not read so, or there are fewer points than parts.
    """
    number, total = _numbers(part)
    points = sum(len(shape.points) for shape in plan.shapes)
    if total > points:
        raise ValueError(
            f"part is {part!r}, but the sweep has {points} points; it can have that many parts at most"
        )
    begin, end = ((points * i) // total for i in (number - 1, number))
    shapes, before = [], 0
    for shape in plan.shapes:
        own = shape.points[max(0, begin - before) : max(0, end - before)]
        before += len(shape.points)
        if own:
            shapes.append(dataclasses.replace(shape, points=own))
    return dataclasses.replace(plan, shapes=tuple(shapes), part=part)


def part_folder(part: str, out: str | os.PathLike[str]) -> Path:
    """The folder of a part, in that of the sweep, which all parts share.

    Raises:
        ValueError: the sweep's folder is called as if it were that of a part.
    """
    (number, total), whole = _numbers(part), Path(out)
    if re.fullmatch(kinds.PART, whole.absolute().name):
        raise ValueError(
            f"out is {os.fspath(out)}, which is the folder of a part already: out is the same for every part, here "
            f"{whole.parent}, and part_{number}_of_{total} is made inside"
        )
    return whole / f"part_{number}_of_{total}"


def _numbers(part: str) -> tuple[int, int]:
    number, total = (int(text) if text.isdecimal() else 0 for text in (*part.split("/"), "", "")[:2])
    if part != f"{number}/{total}" or not 1 <= number <= total:
        raise ValueError(
            f"part is {part!r}; it must be I/N: which part, from 1, and how many there are, as 2/4"
        )
    return number, total
