"""Figures of loops of generated environments: the tree of specs, skills by cycle and spec, steps by use, maps.

They take plain numbers and names; `results.report` reads them from folders. Conventions are those of `results.figures`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxrl_evolve.results.panels import add_legend, panels_figure, styles_of

_SYMBOLS = {"active": "o", "learned": "s", "quarantined": "v", "failed": "X"}


class Node(NamedTuple):
    """A spec in a tree.

    Attributes:
        name: short.
        born: the cycle in which it came.
        success: share of successes that is expected, from 0 to 1.
        status: one of the archive's.
        parents: places of its parents in the list of nodes, the one that it hangs from first.
    """

    name: str
    born: int
    success: float
    status: str
    parents: tuple[int, ...] = ()


def tree(nodes: Sequence[Node], path: str | os.PathLike[str], *, title: str = "") -> Path:
    """Draw where specs come from: one row for each, by the cycle in which it came, coloured by expected success.

    Args:
        nodes: at least one, each below the parent that it hangs from; further parents are joined by dotted lines.
        path: where to; the suffix chooses the format (png, svg, pdf).
        title: above the figure.

    Returns:
        ``path``.

    Raises:
        ValueError: there is nothing to draw, or the suffix is not known.
        OSError: the file cannot be written.
    """
    if not nodes:
        raise ValueError("there are no specs to draw")
    last = max(node.born for node in nodes)
    height = 0.9 + 0.2 * len(nodes)
    with panels_figure(path, 1, 3.4 + 0.8 * (last + 1), height) as (figure, (axis,)):
        for row, node in enumerate(nodes):
            for place, parent in enumerate(node.parents):
                line = {"color": "#999999", "linewidth": 0.9, "linestyle": ":" if place else "-", "zorder": 1}
                born = nodes[parent].born
                axis.plot([born, born, node.born], [parent, row, row], **line)
        for status, symbol in _SYMBOLS.items():
            rows = [row for row, node in enumerate(nodes) if node.status == status]
            if rows:
                found = axis.scatter(
                    [nodes[row].born for row in rows], rows, c=[nodes[row].success for row in rows],
                    marker=symbol, cmap="viridis", vmin=0, vmax=1, s=46, zorder=2, label=status,
                    edgecolors="#444444", linewidths=0.6,
                )  # fmt: skip
                drawn = found
        for row, node in enumerate(nodes):
            axis.annotate(
                node.name, (node.born, row), (7, 0), textcoords="offset points", fontsize=7, va="center"
            )
        axis.set_ylim(len(nodes) - 0.4, -0.6)
        axis.set_xlim(-0.3, last + 2.2)
        axis.set_xticks(range(last + 1))
        axis.set_yticks([])
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("Cycle")
        axis.legend(loc="upper right", fontsize=7)
        figure.colorbar(drawn, ax=axis, label="Expected success", shrink=min(1.0, 3.0 / height))
        figure.suptitle(title, fontsize=11)
    return Path(path)


def skills(
    lines: Sequence[tuple[str, Mapping[str, Sequence[float]]]],
    names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str = "",
) -> Path:
    """Draw a table of skills: a row for each line, shares as colours with their 95 % intervals written in.

    Args:
        lines: a name and by skill ``(share, low, high, episodes)``; skills that are missing, or of no episode, stay empty.
        names: of skills, in order.
        path: as in `tree`.
        title: above the figure.

    Returns:
        ``path``.

    Raises:
        ValueError: there is nothing to draw, or the suffix is not known.
        OSError: the file cannot be written.
    """
    if not lines or not names:
        raise ValueError("there are no skills to draw")
    known = lambda rates, name: name in rates and rates[name][3] > 0
    shares = np.array([[r[n][0] if known(r, n) else np.nan for n in names] for _, r in lines], np.float64)
    with panels_figure(path, 1, 2.6 + 0.85 * len(names), 1.4 + 0.22 * len(lines)) as (figure, (axis,)):
        image = axis.imshow(shares, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        for row, (_, rates) in enumerate(lines):
            for column, name in enumerate(names):
                if known(rates, name):
                    mean, low, high = (100 * x for x in rates[name][:3])
                    colour = "white" if mean < 60 else "black"
                    text = f"{mean:.0f} [{low:.0f}, {high:.0f}]"
                    axis.text(column, row, text, ha="center", va="center", fontsize=5.5, color=colour)
        axis.set_yticks(range(len(lines)), [name for name, _ in lines], fontsize=7)
        axis.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=7)
        axis.grid(visible=False)
        figure.colorbar(image, ax=axis, label="Share of episodes", shrink=0.8)
        figure.suptitle(title, fontsize=11)
    return Path(path)


def steps(loops: Mapping[str, Mapping[str, int]], path: str | os.PathLike[str], *, title: str = "") -> Path:
    """Draw what environment steps were made for, a bar for each loop.

    Args:
        loops: steps by use, by the name of the loop.
        path: as in `tree`.
        title: above the figure.

    Returns:
        ``path``.

    Raises:
        ValueError: there is nothing to draw, or the suffix is not known.
        OSError: the file cannot be written.
    """
    if not loops:
        raise ValueError("there are no loops to draw")
    uses = list(dict.fromkeys(use for found in loops.values() for use in found))
    styles = styles_of(uses)
    with panels_figure(path, 1, 6.0, 1.3 + 0.3 * len(loops)) as (figure, (axis,)):
        left = np.zeros(len(loops))
        for use in uses:
            width = np.array([found.get(use, 0) for found in loops.values()], np.float64)
            axis.barh(range(len(loops)), width, left=left, height=0.7, label=use, color=styles[use]["color"])
            left += width
        axis.set_yticks(range(len(loops)), list(loops))
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("Environment steps")
        add_legend(figure, [axis], below=True)
        figure.suptitle(title, fontsize=11)
    return Path(path)


def maps(
    frames: Sequence[tuple[str, np.ndarray]],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    legend: Sequence[tuple[str, tuple[int, int, int]]] = (),
) -> Path:
    """Draw specs side by side.

    Args:
        frames: a name, of several lines or one, and a picture, uint8 ``[H, W, 3]``, of each.
        path: as in `tree`.
        title: above the figure.
        legend: what is on them: a name and a colour, red, green and blue from 0 to 255.

    Returns:
        ``path``.

    Raises:
        ValueError: there is nothing to draw, or the suffix is not known.
        OSError: the file cannot be written.
    """
    if not frames:
        raise ValueError("there are no maps to draw")
    with panels_figure(path, len(frames), 2.4, 2.6 if legend else 2.3) as (figure, axes):
        for axis, (name, frame) in zip(axes, frames, strict=True):
            axis.imshow(frame)
            axis.set_axis_off()
            axis.set_title(name, fontsize=7)
        if legend:
            from matplotlib.patches import Patch

            colour = lambda rgb: tuple(x / 255 for x in rgb)
            figure.legend(
                handles=[
                    Patch(facecolor=colour(rgb), edgecolor="#444444", label=name) for name, rgb in legend
                ],
                loc="outside lower center",
                ncols=4,
                fontsize=7,
            )
        figure.suptitle(title, fontsize=11)
    return Path(path)
