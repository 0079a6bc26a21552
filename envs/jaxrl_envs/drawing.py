"""Small pictures of environment states, drawn on the host with Pillow.

A picture is a list of shapes in world units, or a board of cells. Nothing here needs a display.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Colour = tuple[int, int, int]
_PAPER, _INK, _BLUE, _RED, _GREEN = (
    (250, 250, 248),
    (45, 48, 56),
    (55, 110, 190),
    (200, 70, 60),
    (70, 150, 90),
)


class Disc(NamedTuple):
    """A filled circle; `radius` in world units."""

    centre: tuple[float, float]
    radius: float
    colour: Colour


class Line(NamedTuple):
    """A path through points with round ends; `width` in world units."""

    points: Sequence[tuple[float, float]]
    width: float
    colour: Colour


def picture(
    shapes: Sequence[Disc | Line],
    centre: tuple[float, float],
    width: float,
    size: tuple[int, int] = (240, 320),
) -> np.ndarray:
    """Shapes seen through a window of `width` world units around `centre`, y upwards.

    Returns:
        uint8 ``[*size, 3]``.
    """
    from PIL import Image, ImageDraw

    smooth = 3  # drawn larger, then averaged
    height_px, width_px = smooth * size[0], smooth * size[1]
    unit = width_px / width
    image = Image.new("RGB", (width_px, height_px), _PAPER)
    pen = ImageDraw.Draw(image)

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x, y = ((float(p) - c) * unit for p, c in zip(point, centre, strict=True))
        return x + width_px / 2, height_px / 2 - y

    def dot(point: tuple[float, float], radius: float, colour: Colour) -> None:
        x, y = place(point)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    for shape in shapes:
        if isinstance(shape, Disc):
            dot(shape.centre, shape.radius * unit, shape.colour)
        else:
            pen.line([place(p) for p in shape.points], shape.colour, max(1, round(shape.width * unit)))
            for p in shape.points:
                dot(p, shape.width * unit / 2, shape.colour)
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BOX), np.uint8)


def board(channels: np.ndarray, cell: int = 16) -> np.ndarray:
    """Cells coloured by the last channel that is set, e.g. a MinAtar observation.

    Args:
        channels: ``[H, W, C]``, or ``[H, W]`` for one channel; above zero means set.
        cell: pixels per cell.

    Returns:
        uint8 ``[H * cell, W * cell, 3]``.
    """
    channels = np.asarray(channels)
    channels = channels[..., None] if channels.ndim == 2 else channels
    count = channels.shape[-1]
    colours = [(24, 26, 32)] + [
        tuple(round(255 * x) for x in colorsys.hsv_to_rgb(i / count, 0.55, 0.95)) for i in range(count)
    ]
    top = np.max((channels > 0) * (1 + np.arange(count)), axis=-1)
    return np.asarray(colours, np.uint8)[top].repeat(cell, axis=0).repeat(cell, axis=1)


def cartpole(state: Any, params: Any) -> np.ndarray:
    x, angle, edge = float(state.x), float(state.theta), float(params.x_threshold)
    reach = 2 * float(params.length)  # `length` is half the pole
    tip = (x + reach * np.sin(angle), reach * np.cos(angle))
    shapes = [
        Line([(-edge, -0.15), (edge, -0.15)], 0.02, _INK),
        Line([(x - 0.2, 0.0), (x + 0.2, 0.0)], 0.2, _BLUE),
        Line([(x, 0.0), tip], 0.08, _RED),
    ]
    return picture(shapes, (0.0, 0.6), 2.4 * edge)


def pendulum(state: Any, params: Any) -> np.ndarray:
    angle, length = float(state.theta), float(params.l)
    tip = (-length * np.sin(angle), length * np.cos(angle))
    return picture(
        [Line([(0.0, 0.0), tip], 0.12, _RED), Disc((0.0, 0.0), 0.05, _INK)], (0.0, 0.0), 3.2 * length
    )


def acrobot(state: Any, params: Any) -> np.ndarray:
    first, second = float(params.link_length_1), float(params.link_length_2)
    a, b = float(state.joint_angle1), float(state.joint_angle1 + state.joint_angle2)
    elbow = (first * np.sin(a), -first * np.cos(a))
    tip = (elbow[0] + second * np.sin(b), elbow[1] - second * np.cos(b))
    reach = first + second
    shapes = [
        Line([(-reach, 1.0), (reach, 1.0)], 0.02, _GREEN),
        Line([(0.0, 0.0), elbow], 0.12, _BLUE),
        Line([elbow, tip], 0.12, _RED),
        Disc((0.0, 0.0), 0.05, _INK),
    ]
    return picture(shapes, (0.0, 0.0), 3.0 * reach)


def mountain_car(state: Any, params: Any) -> np.ndarray:
    def height(x: Any) -> Any:
        return 0.45 * np.sin(3 * x)

    low, high = float(params.min_position), float(params.max_position)
    xs, goal, x = np.linspace(low, high, 60), float(params.goal_position), float(np.squeeze(state.position))
    shapes = [
        Line(list(zip(xs, height(xs), strict=True)), 0.01, _INK),
        Line([(goal, height(goal)), (goal, height(goal) + 0.2)], 0.02, _GREEN),
        Disc((x, height(x) + 0.05), 0.05, _RED),
    ]
    return picture(shapes, ((low + high) / 2, 0.1), 1.1 * (high - low))


CLASSIC_CONTROL: dict[str, Callable[[Any, Any], np.ndarray]] = {
    "CartPole-v1": cartpole,
    "Pendulum-v1": pendulum,
    "Acrobot-v1": acrobot,
    "MountainCar-v0": mountain_car,
    "MountainCarContinuous-v0": mountain_car,
}
"""Drawings by gymnax name."""


def maze(walls: np.ndarray, position: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """A board of walls ``[H, W]``, the goal ``[2]`` and the agent ``[2]``."""
    layers = np.zeros((*walls.shape, 3), bool)
    layers[..., 0] = walls
    layers[int(goal[0]), int(goal[1]), 1] = True
    layers[int(position[0]), int(position[1]), 2] = True
    return board(layers)


def grid_world(
    walls: np.ndarray,
    objects: Sequence[tuple[int, int, float]],
    agent: tuple[int, int],
    cell: int = 16,
    facing: tuple[int, int] | None = None,
) -> np.ndarray:
    """Cells with walls, objects and an agent.

    Args:
        walls: bool ``[H, W]``.
        objects: ``(row, column, reward)`` each; green where the reward is above zero, else red, paler
            the nearer it is to zero.
        agent: ``(row, column)``, drawn last as a blue disc.
        cell: pixels per cell.
        facing: rows and columns of a step to where the agent looks, which a light spot shows.

    Returns:
        uint8 ``[H * cell, W * cell, 3]``.
    """
    frame = np.where(walls[..., None], np.asarray(_INK), np.asarray(_PAPER)).astype(np.uint8)
    frame = frame.repeat(cell, axis=0).repeat(cell, axis=1)
    centred = np.arange(cell) - (cell - 1) / 2
    square = np.maximum(abs(centred)[:, None], abs(centred)) < 0.38 * cell
    disc = np.hypot(centred[:, None], centred) < 0.3 * cell

    def put(row: int, column: int, shape: np.ndarray, colour: np.ndarray) -> None:
        frame[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell][shape] = colour

    for row, column, reward in objects:
        strength = 0.3 + 0.7 * min(1.0, abs(reward))
        colour = np.asarray(_GREEN if reward > 0 else _RED)
        put(row, column, square, np.round(strength * colour + (1 - strength) * np.asarray(_PAPER)))
    put(*agent, disc, np.asarray(_BLUE))
    if facing is not None:
        row, column = (0.18 * cell * step for step in facing)
        put(*agent, np.hypot(centred[:, None] - row, centred - column) < 0.12 * cell, np.asarray(_PAPER))
    return frame


def bodies(
    capsules: Sequence[tuple[np.ndarray, np.ndarray, float]],
    axes: tuple[int, int],
    width: float,
    follow: bool,
) -> np.ndarray:
    """Capsules of a physics scene projected on two axes.

    Args:
        capsules: ``(one end [3], other end [3], radius)`` each; the first belongs to the body to follow.
        axes: indices of the world axes drawn to the right and upwards.
        width: world units across.
        follow: whether the window moves with the first capsule along the first axis.
    """
    depth = ({0, 1, 2} - set(axes)).pop()
    right = float(capsules[0][0][axes[0]]) if follow else 0.0
    upright = axes[1] == 2
    centre = (right, 0.3 * width if upright else 0.0)
    shapes: list[Disc | Line] = []
    if upright:
        shapes += [Line([(right - width, -0.01 * width), (right + width, -0.01 * width)], 0.02 * width, _INK)]
        marks = np.arange(np.floor(right - width), np.ceil(right + width))
        shapes += [Disc((float(x), -0.01 * width), 0.008 * width, _PAPER) for x in marks]
    far_first = sorted(range(len(capsules)), key=lambda i: -capsules[i][0][depth])
    for rank, i in enumerate(far_first):
        start, end, radius = capsules[i]
        shade = 0.6 + 0.4 * (rank + 1) / len(far_first)
        colour = (round(_BLUE[0] * shade), round(_BLUE[1] * shade), round(_BLUE[2] * shade))
        ends = [(float(p[axes[0]]), float(p[axes[1]])) for p in (start, end)]
        shapes.append(Line(ends, 2 * radius, colour))
    return picture(shapes, centre, width)
