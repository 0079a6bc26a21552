"""Figures over runs: learning curves, final returns with intervals, probability of improvement.

Each is a grid of panels (`jaxrl_evolve.results.panels`).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve.results.panels import (
    COLOURS,
    add_legend,
    columns_of,
    label_bottom,
    panels_figure,
    styles_of,
)
from jaxrl_evolve.results.statistics import FEWEST, Estimate, Statistic, bootstrap_curve, caution, iqm

_MAX_POINTS = 200  # per curve; the eye sees no more, and each point is bootstrapped


@dataclasses.dataclass(frozen=True)
class Curve:
    """Returns of several runs of one algorithm on one task over training.

    Attributes:
        label: the algorithm; one label has one colour in all panels.
        env_steps: ``[points]``, ascending, of each run alone.
        returns: ``[runs, points]``; NaN where a run has no value yet.
        panel: the task; one panel is drawn for each.
    """

    label: str
    env_steps: np.ndarray
    returns: np.ndarray
    panel: str = ""

    def __post_init__(self) -> None:
        steps, returns = np.shape(self.env_steps), np.shape(self.returns)
        if len(returns) != 2 or steps != returns[1:]:
            raise ValueError(
                f"the curve of {self.label!r} has env_steps of shape {steps} and returns of shape {returns}; "
                "they must be [points] and [runs, points]"
            )


def learning_curves(
    curves: Sequence[Curve],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    xlabel: str = "Environment steps per seed",
    ylabel: str = "Episode return",
    statistic: Statistic = iqm,
    statistic_name: str = "IQM",
    confidence: float = 0.95,
    per_seed: bool = False,
    shares: bool = False,
) -> Path:
    """Draw a statistic over seeds with a pointwise bootstrap band, one panel per task.

    Args:
        curves: at least one.
        path: where to; the suffix chooses the format (png, svg, pdf).
        title: above the figure.
        xlabel: what the steps are.
        ylabel: what the returns are.
        statistic: over runs, as in `statistics.stratified_bootstrap`.
        statistic_name: how the axis calls it.
        confidence: coverage of the band; one or two runs have none.
        per_seed: also draw each run as a thin line.
        shares: whether returns are shares: the axis begins at 0, and of equal curves, as where all are 0, each is seen.

    Returns:
        ``path``.

    Raises:
        ValueError: for no curves or an unknown suffix.
        OSError: if the file cannot be written.
    """
    if not curves:
        raise ValueError("there are no curves to draw")
    styles = styles_of([curve.label for curve in curves])
    panels = list(dict.fromkeys(curve.panel for curve in curves))
    with panels_figure(path, len(panels), width=4.6, height=3.1) as (figure, axes):
        for axis, panel in zip(axes, panels, strict=True):
            there = [c for c in curves if c.panel == panel]
            for i, curve in enumerate(there):
                keep = _thin(len(curve.env_steps))
                x, y = np.asarray(curve.env_steps)[keep], np.asarray(curve.returns, np.float64)[:, keep]
                value, low, high = bootstrap_curve(y, statistic, confidence=confidence)
                style = styles[curve.label]
                if per_seed:
                    axis.plot(x, y.T, color=style["color"], linewidth=0.6, alpha=0.35)
                axis.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)
                # A marker shows what a line cannot: a point without neighbours.
                marker = "o" if np.isfinite(value).sum() <= 1 else None
                width = 1.7 + (1.3 * min(len(there) - 1 - i, 4) if shares else 0.0)
                axis.plot(x, value, linewidth=width, label=_short(curve.label), marker=marker, **style)
            axis.set_title(panel)
            axis.xaxis.set_major_formatter(_si())
            axis.margins(x=0.02)
            if shares:
                top = max(axis.get_ylim()[1], 0.1)
                axis.set_ylim(-0.03 * top, min(top, 1.03))
        label_bottom(axes, xlabel)
        most = max(len(curve.returns) for curve in curves)
        interval = f"{100 * confidence:g} % interval" if most >= FEWEST else "no interval"
        few = f" from {most} runs" if caution(most) else ""
        about = f"{statistic_name}, {interval}{few}" if most > 1 else "one run"
        figure.supylabel(f"{ylabel} ({about})", fontsize=9)
        if len(styles) > 1 or not title:
            add_legend(figure, axes)
        figure.suptitle(title, fontsize=11)
    return Path(path)


def comparison(
    estimates: Mapping[str, Mapping[str, Estimate]],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    xlabel: str = "Final return (IQM, 95 % interval)",
) -> Path:
    """Draw intervals of several algorithms side by side, one panel per task or metric.

    Args:
        estimates: ``{panel: {algorithm: Estimate}}``; an algorithm may be missing from a panel.
        path: as in `learning_curves`.
        title: above the figure.
        xlabel: what is shown.

    Returns:
        ``path``.

    Raises:
        ValueError: for nothing to draw or an unknown suffix.
        OSError: if the file cannot be written.
    """
    labels = list(dict.fromkeys(label for panel in estimates.values() for label in panel))
    if not labels:
        raise ValueError("there are no estimates to draw")
    styles = styles_of(labels)
    rows = {label: len(labels) - 1 - i for i, label in enumerate(labels)}
    height = 0.75 + 0.34 * len(labels)
    width = 2.8 + _text_width(labels) / columns_of(len(estimates))
    with panels_figure(path, len(estimates), width, height) as (figure, axes):
        for index, (axis, (panel, found)) in enumerate(zip(axes, estimates.items(), strict=True)):
            for label, estimate in found.items():
                _interval(axis, rows[label], estimate, styles[label]["color"])
            axis.set_title(panel)
            first = index % columns_of(len(estimates)) == 0
            axis.set_yticks(list(rows.values()), [_short(label) if first else "" for label in labels])
            axis.set_ylim(-0.6, len(labels) - 0.4)
            axis.grid(axis="y", visible=False)
            axis.locator_params(axis="x", nbins=5)
            axis.margins(x=0.08)
        label_bottom(axes, xlabel)
        figure.suptitle(title, fontsize=11)
    return Path(path)


def probability_of_improvement(
    estimates: Mapping[tuple[str, str], Estimate],
    path: str | os.PathLike[str],
    *,
    title: str = "",
) -> Path:
    """Draw the probability that one algorithm beats another, a row for each pair.

    Args:
        estimates: ``{(x, y): P(x > y)}``.
        path: as in `learning_curves`.
        title: above the figure.

    Returns:
        ``path``.

    Raises:
        ValueError: for nothing to draw or an unknown suffix.
        OSError: if the file cannot be written.
    """
    if not estimates:
        raise ValueError("there are no pairs of algorithms to draw")
    names = [f"{_short(x)} over {_short(y)}" for x, y in estimates]
    width, height = 3.6 + _text_width(names), 0.8 + 0.34 * len(names)
    with panels_figure(path, 1, width, height) as (figure, (axis,)):
        axis.axvline(0.5, color="#888888", linewidth=1, linestyle="--")
        for row, estimate in enumerate(reversed(list(estimates.values()))):
            _interval(axis, row, estimate, COLOURS[0])
        axis.set_yticks(range(len(names)), names[::-1])
        axis.set_xlim(-0.02, 1.02)
        axis.set_ylim(-0.6, len(estimates) - 0.4)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("Probability of improvement (95 % interval)")
        figure.suptitle(title, fontsize=11)
    return Path(path)


def _interval(axis: Any, row: int, estimate: Estimate, colour: str) -> None:
    if np.isfinite([estimate.low, estimate.high]).all():
        axis.plot(
            [estimate.low, estimate.high],
            [row, row],
            color=colour,
            linewidth=7,
            alpha=0.35,
            solid_capstyle="butt",
        )
    axis.plot([estimate.value], [row], marker="|", markersize=13, markeredgewidth=2.4, color=colour)


def _short(label: str) -> str:
    """The end of a long label, where labels made from paths differ."""
    return label if len(label) <= 40 else f"…{label[-39:]}"


def _text_width(labels: Iterable[str]) -> float:
    """Inches that the longest label takes, about."""
    return 0.085 * max(len(_short(label)) for label in labels)


def _thin(points: int) -> np.ndarray:
    """Indices of at most `_MAX_POINTS` evenly spread points, first and last included."""
    return np.unique(np.linspace(0, points - 1, min(points, _MAX_POINTS)).round().astype(int))


def _si() -> Any:
    from matplotlib.ticker import EngFormatter

    return EngFormatter(sep="")
