"""The runs of a training, and the groups of them that the device holds at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import traced
from jaxrl_evolve.training.host import Host


class Groups(NamedTuple):
    """Groups of equal size, in the order of their runs.

    Attributes:
        size: runs of a group.
        seeds: of each group, the numbers of its runs' seeds, int64 ``[size]``.
        hps: of each group, hyperparameters whose leaves are scalars, or ``[size]`` where there are points.
    """

    size: int
    seeds: tuple[np.ndarray, ...]
    hps: tuple[Any, ...]

    @property
    def runs(self) -> int:
        """Runs of all groups together."""
        return self.size * len(self.seeds)


def groups_of(config: TrainConfig[Any, Any], points: Sequence[Any] | None) -> Groups:
    """Every seed of a configuration, or of each of its points, in groups.

    Args:
        config: says how many seeds, and how many runs a group has.
        points: hyperparameter objects of a sweep, each with every seed, point by point.

    Raises:
        ValueError: the size of a group does not divide the number of runs.
    """
    runs = config.seeds * (len(points) if points else 1)
    size = config.group or runs
    if runs % size:
        raise ValueError(f"group is {size}; it must divide the number of runs, {runs}")
    seeds = np.tile(np.arange(config.seeds), runs // config.seeds).reshape(-1, size)
    if points is None:
        return Groups(size, tuple(seeds), (traced(config.hp),) * len(seeds))
    own = [traced(point) for point in points for _ in range(config.seeds)]
    stacked = jax.tree.map(lambda *x: np.stack(x), *own)
    hps = (jax.tree.map(lambda x, i=i: x[i : i + size], stacked) for i in range(0, runs, size))
    return Groups(size, tuple(seeds), tuple(hps))


def check_points(host: Host, points: Sequence[Any] | None) -> None:
    """Write the points of a sweep into a new run folder, or compare them with those it was started with.

    Raises:
        ValueError: they are others.
    """
    if (folder := host.writable) is None:
        return
    asked = {"points": folders.plain(points)}
    if points is not None and not (folder.points.exists() or folder.metrics.exists()):
        folders.write_json(folder.points, asked)
    there = folders.read_json(folder.points) if folder.points.exists() else {"points": None}
    if there != asked:
        raise ValueError(
            f"the run in {folder.path} was started with other points of a sweep: resume the sweep itself, or "
            "train into another folder"
        )
