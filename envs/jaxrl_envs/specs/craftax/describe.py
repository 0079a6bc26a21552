"""A Craftax spec in plain lines, and as a vector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import BaseModel

from jaxrl_envs.specs.craftax.model import BLOCKS, SIZES, SKILLS, CraftaxSpec

_USUAL = CraftaxSpec()
_TOLD = ("language", "version", "name", "purpose", "parent", "targets", "size")


def describe(spec: CraftaxSpec) -> str:
    """Lines of text; what is as in Craftax-Classic is left out."""
    side = SIZES[spec.size]
    lines = [f"{spec.name or 'unnamed'}: Craftax-Classic, {side} x {side} cells, {spec.time_limit} steps"]
    if spec.purpose:
        lines.append(f"purpose: {spec.purpose}")
    ends = "and ends the episode" if spec.ends_on_success else "and the episode goes on"
    rest = "all skills that are not done" if spec.start.achieved else "all skills"
    lines.append(f"success: {' and '.join(spec.goals) or rest}, {ends}")
    for name in ("terrain", "world", "start"):
        said = [*_differences(getattr(spec, name), getattr(_USUAL, name), "")]
        lines.append(f"{name}: {', '.join(said) or 'as usual'}")
    lines += [
        f"placed: {row.count} {row.block} on {row.on or 'any ground'}, {row.nearest} to {row.farthest} steps away"
        for row in spec.start.placed
    ]
    return "\n".join(lines)


def _differences(part: Any, usual: Any, path: str) -> Iterator[str]:
    for name in type(part).model_fields:
        value, before = getattr(part, name), getattr(usual, name)
        if isinstance(value, BaseModel):
            yield from _differences(value, before, f"{path}{name} ")
        elif name == "achieved" and value:
            yield f"already done {' '.join(value)}"
        elif value != before and name != "placed":
            told = f"{value:g}" if isinstance(value, float) else value
            yield f"{path}{name} {told}" + (f" instead of {before:g}" if isinstance(before, float) else "")


def features(spec: CraftaxSpec) -> np.ndarray:
    """float32 ``[D]``: how far numbers are from Craftax-Classic's, goals, what was achieved before, and how much of each block is placed."""
    numbers = [*_numbers(spec, _USUAL)]
    flags = [float(skill in names) for names in (spec.goals, spec.start.achieved) for skill in SKILLS]
    placed = [sum(row.count for row in spec.start.placed if row.block == name) / 8 for name in BLOCKS]
    return np.asarray([*numbers, *flags, *placed], np.float32)


def _numbers(part: Any, usual: Any) -> Iterator[float]:
    for name in type(part).model_fields:
        value, before = getattr(part, name), getattr(usual, name)
        if name in _TOLD or isinstance(before, tuple):
            continue
        if isinstance(before, BaseModel):
            yield from _numbers(value, before)
        elif isinstance(before, int | float):
            scale = abs(before) or (9.0 if type(before) is int else 1.0)
            yield float(np.clip((value - before) / scale, -2.0, 2.0))
        else:  # a place or a word
            yield float(value != before)
