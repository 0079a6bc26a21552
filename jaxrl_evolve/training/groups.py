"""The runs of a training, and the groups of them that the device holds at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import traced


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
