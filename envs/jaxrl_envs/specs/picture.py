"""Pictures of grid specs: a frame of an episode, a frame with its legend, an episode as a GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxrl_envs.specs.arrays import GridParams
from jaxrl_envs.specs.caps import BUILT_IN, FLOOR, VOID
from jaxrl_envs.specs.cells import DIRECTIONS
from jaxrl_envs.specs.engine import GridState
from jaxrl_envs.specs.model import COLOURS, GridSpec

_COLOURS = {
    "grey": (130, 134, 140),
    "black": (45, 48, 56),
    "white": (250, 250, 248),
    "red": (214, 69, 58),
    "green": (70, 150, 90),
    "blue": (55, 110, 190),
    "yellow": (226, 190, 60),
    "orange": (226, 130, 50),
    "purple": (135, 85, 170),
    "brown": (140, 98, 62),
    "cyan": (80, 180, 195),
    "pink": (225, 130, 170),
}
_CELL, _PAPER, _EDGE = 24, (250, 250, 248), (228, 228, 224)
AGENT = (30, 60, 160)


def render(state: GridState, params: GridParams) -> np.ndarray:
    """One frame, uint8 ``[rows * 24, columns * 24, 3]``: what is walkable fills its cell, all else is a square in it, the agent a disc
    with a light spot on the side that it faces, and what a carrier carries on the other, as a small square in its colour.
    """
    rows, columns = (int(x) for x in np.asarray(params.size))
    grid = np.asarray(state.grid)[:rows, :columns]
    colour, walkable = np.asarray(params.types.colour), np.asarray(params.types.walkable)
    palette = np.asarray([_COLOURS[name] for name in COLOURS])
    frame = np.empty((rows * _CELL, columns * _CELL, 3), np.uint8)
    for row in range(rows):
        for column in range(columns):
            kind = int(grid[row, column])
            cell = frame[row * _CELL : (row + 1) * _CELL, column * _CELL : (column + 1) * _CELL]
            cell[:] = palette[colour[kind]] if kind == VOID else _PAPER
            cell[-1], cell[:, -1] = _EDGE, _EDGE
            if kind not in (VOID, FLOOR):
                margin = 0 if walkable[kind] else 3
                cell[margin : _CELL - 1 - margin, margin : _CELL - 1 - margin] = palette[colour[kind]]
    carried = np.flatnonzero(state.inventory)
    load = palette[colour[carried[0]]] if params.carrier is not None and carried.size else None
    _draw_agent(frame, int(state.row), int(state.column), int(state.facing), load)
    return frame


def _draw_agent(frame: np.ndarray, row: int, column: int, facing: int, load: np.ndarray | None) -> None:
    cell = frame[row * _CELL : (row + 1) * _CELL, column * _CELL : (column + 1) * _CELL]
    centred = np.arange(_CELL) - (_CELL - 2) / 2
    cell[np.hypot(centred[:, None], centred) < 0.36 * _CELL] = AGENT
    down, right = 0.2 * _CELL * DIRECTIONS[facing]
    cell[np.hypot(centred[:, None] - down, centred - right) < 0.12 * _CELL] = _PAPER
    if load is not None:
        apart = np.maximum(np.abs(centred[:, None] + down), np.abs(centred + right))
        cell[apart < 0.2 * _CELL] = _PAPER
        cell[apart < 0.15 * _CELL] = load


def legend(spec: GridSpec, *, held: bool = True) -> dict[str, tuple[int, int, int]]:
    """The colour of each type that may lie on the map, in their order, and of each that may be held if that is wanted too."""
    strewn = {step.type for step in spec.terrain}
    made = {name for rule in spec.rules for name in (rule.becomes, rule.spawns) if name}
    there = strewn | made
    if held:
        there |= {row.item for row in spec.agent.inventory}
        there |= {row.item for rule in spec.rules for row in rule.changes}
    return {t.name: _COLOURS[t.colour] for t in spec.types if t.name in there}


def with_legend(frame: np.ndarray, spec: GridSpec, state: GridState | None = None) -> np.ndarray:
    """A frame with the names of the types beside it, and how many of each the agent holds, uint8 ``[H, W, 3]``.

    Args:
        frame: uint8 ``[H, W, 3]``.
        spec: that is shown.
        state: whose inventory is told; without one none is.
    """
    from PIL import Image, ImageDraw

    rows = legend(spec)
    types = [*BUILT_IN, *(t.name for t in spec.types)]
    held = dict(zip(types, np.asarray(state.inventory).tolist(), strict=False)) if state is not None else {}
    line, width = 16, 150
    height = max(frame.shape[0], line * (len(rows) + 2) + 8)
    image = Image.new("RGB", (frame.shape[1] + width, height), _PAPER)
    image.paste(Image.fromarray(frame), (0, 0))
    pen, left = ImageDraw.Draw(image), frame.shape[1] + 8
    for i, (name, colour) in enumerate(rows.items()):
        top = 4 + i * line
        pen.rectangle((left, top + 2, left + 10, top + 12), fill=colour)
        pen.text((left + 16, top), name, fill=_COLOURS["black"])
        if held.get(name):
            edge = image.width - 22  # over the end of a name that is too long
            pen.rectangle((edge, top, image.width, top + line - 1), fill=_PAPER)
            pen.text((edge, top), f"x {held[name]}", fill=AGENT)
    top = 4 + len(rows) * line
    pen.ellipse((left, top + 2, left + 10, top + 12), fill=AGENT)
    pen.text((left + 16, top), "agent", fill=_COLOURS["black"])
    return np.asarray(image, np.uint8)


def png(frame: np.ndarray) -> bytes:
    """A frame as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(frame).save(file, "PNG")
    return file.getvalue()


def gif(frames: Sequence[np.ndarray], fps: int = 8) -> bytes:
    """Frames of one size as a GIF file that repeats."""
    from PIL import Image

    file = io.BytesIO()
    images: list[Any] = [Image.fromarray(frame) for frame in frames]
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=1000 // fps, loop=0)
    return file.getvalue()
