"""Programs timed in turn, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

K = TypeVar("K")


class Timed(NamedTuple):
    """What is timed: ``run(state) -> state``, and the first state, which may be donated."""

    run: Callable[[Any], Any]
    state: Any


def in_turn(programs: Mapping[K, Timed], repeats: int) -> dict[K, list[float]]:
    """Seconds of calls, each of the state that the last one left, all programs in turn; the first turn is a warm-up."""
    states = {name: jax.block_until_ready(program.run(program.state)) for name, program in programs.items()}
    found: dict[K, list[float]] = {name: [] for name in programs}
    for _ in range(repeats):
        for name, program in programs.items():
            began = time.perf_counter()
            states[name] = jax.block_until_ready(program.run(states[name]))
            found[name].append(time.perf_counter() - began)
    return found


def ratio_of_neighbours(these: Sequence[float], others: Sequence[float]) -> tuple[float, float, float]:
    """The median of the ratios of calls in the same turn, and its 95 % bootstrap interval over turns."""
    ratios = np.asarray(these) / np.asarray(others)
    drawn = np.random.default_rng(0).integers(0, ratios.size, (2_000, ratios.size))
    low, high = np.quantile(np.median(ratios[drawn], 1), [0.025, 0.975])
    return float(np.median(ratios)), float(low), float(high)
