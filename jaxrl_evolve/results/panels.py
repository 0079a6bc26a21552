"""The sheet that figures are drawn on: a grid of panels in one style, saved whole or not at all.

Matplotlib is imported only when a figure is drawn, without pyplot and so without a display or global state. The same
data gives the same bytes.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxrl_evolve.files import write_whole

# Okabe and Ito's colours, told apart with any kind of colour vision; yellow is left out as too faint.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", "--", ":", "-.")
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
    "svg.hashsalt": "jaxrl_evolve",
}


def styles_of(labels: Sequence[str]) -> dict[str, dict[str, str]]:
    """One colour per label; when the colours run out they return with another dash."""
    return {
        label: {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": _DASHES[i // len(COLOURS) % len(_DASHES)],
        }
        for i, label in enumerate(dict.fromkeys(labels))
    }


def columns_of(panels: int) -> int:
    """How many panels are side by side."""
    return 2 if panels == 4 else min(panels, 3)


def label_bottom(axes: Sequence[Any], text: str) -> None:
    """Name the x axis under the lowest panel of each column."""
    for axis in axes[-columns_of(len(axes)) :]:
        axis.set_xlabel(text)


def add_legend(figure: Any, axes: Sequence[Any], *, below: bool = False) -> None:
    """One legend of all axes: inside a single one unless it is to be below, below several."""
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if len(axes) == 1 and not below:
        axes[0].legend(handles.values(), handles.keys(), loc="best")
    else:
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=min(len(handles), 5)
        )


@contextlib.contextmanager
def panels_figure(
    path: str | os.PathLike[str], panels: int, width: float, height: float
) -> Iterator[tuple[Any, Sequence[Any]]]:
    """A figure with a grid of ``panels`` axes of the given size in inches, saved to ``path`` on leaving."""
    formats = ("png", "svg", "pdf")
    target = Path(path)
    kind = target.suffix.removeprefix(".").lower()
    if kind not in formats:
        raise ValueError(
            f"the figure {str(target)!r} must end in one of {', '.join('.' + f for f in formats)}"
        )

    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = columns_of(panels)
    rows = -(-panels // columns)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's matplotlibrc must not change committed figures
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=(width * columns, height * rows + 0.5), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        axes = list(figure.subplots(rows, columns, squeeze=False).flatten())
        for unused in axes[panels:]:
            unused.set_axis_off()
        yield figure, axes[:panels]
        undated = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
        drawn = io.BytesIO()
        figure.savefig(drawn, format=kind, metadata=undated)
        write_whole(target, drawn.getbuffer())
