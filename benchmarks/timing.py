"""Programs timed in turn, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import jax

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
