"""Pictures of Craftax specs: the whole map from above."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxrl_envs.specs.craftax.model import BLOCKS

_COLOURS = {
    "grass": (112, 168, 92),
    "water": (70, 120, 200),
    "stone": (135, 138, 144),
    "tree": (38, 92, 52),
    "path": (196, 176, 140),
    "coal": (40, 40, 44),
    "iron": (214, 150, 110),
    "diamond": (130, 225, 235),
    "table": (140, 98, 62),
    "furnace": (90, 70, 70),
    "sand": (232, 214, 150),
    "lava": (226, 90, 40),
    "plant": (160, 210, 90),
    "ripe plant": (240, 90, 130),
    "cow": (250, 250, 248),
    "zombie": (60, 200, 90),
    "skeleton": (238, 232, 210),
    "arrow": (20, 20, 20),
    "agent": (30, 60, 160),
}
_PLANTS = {"plant": 15, "ripe plant": 16}
_CELL, _PAPER, _INK = 8, (250, 250, 248), (45, 48, 56)
_STEPS = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))  # by craftax's number of a direction


def render(state: Any, params: Any) -> np.ndarray:
    """One frame, uint8 ``[side * 8, side * 8, 3]``: blocks fill their cells, creatures are squares in them, the agent a square with a light
    spot on the side that it faces.
    """
    palette = np.zeros((17, 3), np.uint8)
    for name, number in {**BLOCKS, **_PLANTS}.items():
        palette[number] = _COLOURS[name]
    frame = palette[np.asarray(state.map)].repeat(_CELL, 0).repeat(_CELL, 1)
    for name in ("cow", "zombie", "skeleton", "arrow"):
        mobs = getattr(state, f"{name}s")
        for row, column in np.asarray(mobs.position)[np.asarray(mobs.mask)]:
            _square(frame, row, column, 1, _INK)
            _square(frame, row, column, 2, _COLOURS[name])
    row, column = np.asarray(state.player_position)
    _square(frame, row, column, 0, _COLOURS["agent"])
    down, right = _STEPS[int(state.player_direction)]
    top, left = _CELL * row + 3 + 2 * down, _CELL * column + 3 + 2 * right
    frame[top : top + 2, left : left + 2] = _PAPER
    return frame


def _square(frame: np.ndarray, row: int, column: int, margin: int, colour: tuple[int, int, int]) -> None:
    top, left = _CELL * row, _CELL * column
    frame[top + margin : top + _CELL - margin, left + margin : left + _CELL - margin] = colour


def with_legend(frame: np.ndarray) -> np.ndarray:
    """A frame with the names of what there may be beside it, uint8 ``[H, W, 3]``."""
    from PIL import Image, ImageDraw

    line, width = 16, 110
    height = max(frame.shape[0], line * len(_COLOURS) + 8)
    image = Image.new("RGB", (frame.shape[1] + width, height), _PAPER)
    image.paste(Image.fromarray(frame), (0, 0))
    pen, left = ImageDraw.Draw(image), frame.shape[1] + 8
    for i, (name, colour) in enumerate(_COLOURS.items()):
        top = 4 + i * line
        pen.rectangle((left, top + 2, left + 10, top + 12), fill=colour, outline=_INK)
        pen.text((left + 16, top), name, fill=_INK)
    return np.asarray(image, np.uint8)
