"""The terrain of a grid spec as a programme: ten instructions, and the numbers that they take."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from jaxrl_envs.specs.caps import PRESETS

_MOST = PRESETS["large"]

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=24)]
"""Of a type or predicate."""


class Part(BaseModel):
    """Anything in a spec: immutable, without fields of its own invention, and numbers are numbers, not text."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Span(Part):
    """Numbers from low to high, both possible."""

    low: float
    high: float


Number = float | Span
"""One number, or a range that one is drawn from at each reset."""
Whole = int | Span
"""Likewise, where a number that is no range must be written without a point."""


def spanning(low: float, high: float, *, default: float | None = None, whole: bool = True) -> Any:
    """The field of a `Number` between bounds, whole unless it need not be."""
    bounds = {"low": low, "high": high, "whole": whole}
    return (
        Field(json_schema_extra=bounds)
        if default is None
        else Field(float(default), json_schema_extra=bounds)
    )


def counting(low: int, high: int, default: Any = ...) -> Any:
    """The field of a `Whole` between bounds; it must be given where it has no default."""
    bounds = {"low": low, "high": high, "whole": True}
    return Field(default, json_schema_extra=bounds)


def ends(number: Number) -> tuple[float, float]:
    """The low and the high end of a number."""
    return (number.low, number.high) if isinstance(number, Span) else (number, number)


def told(number: Number, form: str = "g") -> str:
    """A number or range in words."""
    low, high = ends(number)
    return f"{low:{form}} to {high:{form}}" if isinstance(number, Span) else f"{low:{form}}"


class Instruction(Part):
    """One step of the terrain: cells become a type. On every cell, unless ``on`` names the type that it replaces."""

    type: Name
    on: Name | None = None


class Fill(Instruction):
    op: Literal["fill"]


class Border(Instruction):
    op: Literal["border"]
    thickness: Number = spanning(1, _MOST.side // 2, default=1)


class Rectangle(Instruction):
    op: Literal["rectangle"]
    row: Number = spanning(0, _MOST.side - 1)
    column: Number = spanning(0, _MOST.side - 1)
    height: Number = spanning(1, _MOST.side)
    width: Number = spanning(1, _MOST.side)
    hollow: bool = False


class Line(Instruction):
    op: Literal["line"]
    row: Number = spanning(0, _MOST.side - 1)
    column: Number = spanning(0, _MOST.side - 1)
    to_row: Number = spanning(0, _MOST.side - 1)
    to_column: Number = spanning(0, _MOST.side - 1)


class Rooms(Instruction):
    """Walls between rooms of about equal size, with a door in each at a random place."""

    op: Literal["rooms"]
    rows: Number = spanning(1, 6)
    columns: Number = spanning(1, 6)


class Noise(Instruction):
    """Where smooth noise, from 0 to 1, is above a threshold; ``scale`` cells lie between two values that are drawn."""

    op: Literal["noise"]
    above: Number = spanning(0, 1, whole=False)
    scale: Number = spanning(1, 12, default=3)


class Scatter(Instruction):
    """So many cells, drawn at random; fewer where there are not so many."""

    op: Literal["scatter"]
    on: Name | None = "floor"
    count: Number = spanning(0, 200)


class Band(Instruction):
    """As `Scatter`, of cells so many steps (rows and columns) from where the agent starts."""

    op: Literal["band"]
    on: Name | None = "floor"
    count: Number = spanning(0, 200)
    nearest: Number = spanning(0, 2 * _MOST.side)
    farthest: Number = spanning(0, 2 * _MOST.side)


class Path(Instruction):
    """From the agent's start along a row and a column to a random cell of type ``to``, which stays."""

    op: Literal["path"]
    type: Name = "floor"
    to: Name


class Cells(Instruction):
    """The cells of a drawing, row by row from the upper left corner: those where it has ``#``."""

    op: Literal["cells"]
    map: tuple[Annotated[str, Field(pattern=r"^[#.]*$", max_length=_MOST.side)], ...] = Field(
        max_length=_MOST.side, description=f"rows of at most {_MOST.side} letters, each # or ."
    )


Step = Annotated[
    Fill | Border | Rectangle | Line | Rooms | Noise | Scatter | Band | Path | Cells,
    Field(discriminator="op"),
]
OPERATIONS: dict[str, type[Instruction]] = {
    "fill": Fill,
    "border": Border,
    "rectangle": Rectangle,
    "line": Line,
    "rooms": Rooms,
    "noise": Noise,
    "scatter": Scatter,
    "band": Band,
    "path": Path,
    "cells": Cells,
}
"""Instructions by ``op``, in the order of their numbers in arrays."""
