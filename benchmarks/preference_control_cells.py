"""What the studies of ``preference_control.py`` are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Cell:
    """One line of a table.

    Attributes:
        name: how the table calls it.
        algorithm: what is trained.
        changes: of its preset, as `TrainConfig.preset` takes them.
        steps: environment steps per seed.
        bar: what its mean return over seeds must be above, where something was announced.
        tuned: the arm whose step size it takes, which the study `tune` has chosen; empty where ``changes`` say it.
        shares: of the groups who judge, where they judge sectors.
    """

    name: str
    algorithm: str
    changes: Mapping[str, Any]
    steps: int
    bar: float | None = None
    tuned: str = ""
    shares: tuple[float, ...] = ()

    @property
    def folder(self) -> str:
        """The name of its run's folder."""
        return "".join(c if c.isalnum() or c in ".-" else "_" for c in self.name)


@dataclasses.dataclass(frozen=True)
class Study:
    """A table.

    Attributes:
        title: above it.
        env: where all cells are trained.
        seeds: how many are reported.
        cells: its lines.
        remark: what a reader has to know.
        final_episodes: of the final evaluation, which samples from the policy.
        rows: of metrics.
        measure: ``(cell, result, seed) -> columns`` of the study's own.
        curves: whether learning curves over steps and queries are stored.
        meets: whether what was learned meets in a tournament in the end.
        preference: of that.
        criteria: of that, by which groups judge.
        checkpoints: whether all checkpoints take part in it, or the last policies.
        root_seed: of all randomness. Studies by which something is chosen have another than those that are reported, and a folder of their own.
        after: the study that must have passed before.
    """

    title: str
    env: str
    seeds: int
    cells: tuple[Cell, ...]
    remark: str
    final_episodes: int = 128
    rows: int = 50
    measure: Callable[[Cell, Any, int], dict[str, Any]] | None = None
    curves: bool = False
    meets: bool = False
    preference: str = ""
    criteria: str = ""
    checkpoints: bool = False
    root_seed: int = 0
    after: str = ""
