"""What tells, of steps that were played, that `step` resets the environment or calls a time limit an end.

An adapter around somebody's auto-reset looks like any other environment from outside. These rules see what such a
reset leaves behind; each needs something that the others do without, and what none of them sees stays unseen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl_envs.contract import EnvStep
from jaxrl_envs.parameters import LIMITS
from jaxrl_envs.trees import host

_RESETS = "step resets the environment when an episode ends; return the last state"
_LIMIT_FLAGS = ("truncation", "truncated", "timelimit.truncated", "time_limit_reached")


class Played(NamedTuple):
    """One step: the observation that its episode began with, from where it was taken with which action, and the result."""

    start: Any
    obs: Any
    state: Any
    key: jax.Array
    action: jax.Array
    out: EnvStep

    @property
    def ended(self) -> bool:
        """Whether the episode ended with this step."""
        return bool(self.out.terminated) or bool(self.out.truncated)


def clock_falls_back(played: Sequence[Played], fresh: Any) -> str | None:
    """A counter in the state that runs on every step is at its start again after the last one.

    Args:
        played: steps.
        fresh: a state from reset.
    """
    pairs = [(_numbers(p.state), _numbers(p.out.state), p.ended) for p in played]
    running = [(before, after) for before, after, ended in pairs if not ended]
    at_start = _numbers(fresh)
    if not running:
        return None
    clocks = [i for i in at_start if all(after[i] == before[i] + 1 for before, after in running)]
    ends = [after for _, after, ended in pairs if ended]
    return _RESETS if any(after[i] == at_start[i] for after in ends for i in clocks) else None


def back_at_start(played: Sequence[Played]) -> str | None:
    """Every episode that ends shows its first observation again, to the last bit, and none does before.

    So it is where the first state is stored and brought back. Only observations that are no whole numbers count: a task on a
    board may well end where it began.
    """
    ends = [p for p in played if p.ended]
    fractions = [x for p in ends for x in np.asarray(p.start).reshape(-1) if x != np.round(x)]
    back = [_same(p.out.obs, p.start) for p in played]
    if not fractions or any(b != p.ended for b, p in zip(back, played, strict=True)):
        return None
    moved = [p for p in ends if not _same(p.obs, p.start)]
    return _RESETS if moved else None


def drawn_anew(
    played: Sequence[Played], again: Callable[[Played], EnvStep], resets: tuple[Any, Any]
) -> str | None:
    """Whatever differs between two resets depends on the key in the steps that end an episode, and in no other.

    So it is where a fresh state is drawn within `step` and the task itself has no chance in it.

    Args:
        played: steps.
        again: the same step with another key.
        resets: two states from reset.
    """
    leaves = lambda tree: [host(x) for x in jax.tree.leaves(tree)]
    varying = [
        i for i, (a, b) in enumerate(zip(*map(leaves, resets), strict=True)) if not np.array_equal(a, b)
    ]
    ends = [p for p in played if p.ended]
    if not varying or not ends or len(ends) == len(played):
        return None

    def depends(p: Played) -> list[bool]:
        one, other = leaves(p.out.state), leaves(again(p).state)
        return [not np.array_equal(one[i], other[i]) for i in varying]

    at_ends = np.array([depends(p) for p in ends]).any(0)
    if not at_ends.all() or any(any(depends(p)) for p in played if not p.ended):
        return None
    return _RESETS


def limit_as_termination(played: Sequence[Played]) -> str | None:
    """A flag in the state or in info says that a time limit cut the episode, while `terminated` is set and `truncated` is not."""
    for p in played:
        if not p.out.terminated or p.out.truncated:
            continue
        for where, tree in (("state", p.out.state), ("info", p.out.info)):
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
                if _last(path) in _LIMIT_FLAGS and np.any(host(leaf)):
                    return (
                        f"terminated is set where {where}{jax.tree_util.keystr(path)} says that a time limit cut "
                        "the episode; the limit belongs in truncated alone"
                    )
    return None


def limit_moves(cut: Any, free: Any, before: tuple[Any, Any], resets: tuple[Any, Any]) -> bool:
    """Whether reaching a time limit changes what the successor is: elements that were the same with and without the limit
    until then, and are those of another start, or of this one.

    Args:
        cut: observation and state after the step that reached the limit.
        free: the same with the limit far away.
        before: the same two one step earlier.
        resets: observation and state that this episode began with, and those of another reset.
    """
    leaves = lambda tree: [host(x) for x in jax.tree.leaves(tree)]
    for limited, unlimited, a, b, start, other in zip(
        *map(leaves, (cut, free, *before, *resets)), strict=True
    ):
        at_a_start = (start != other) | (limited == start)
        if np.any((a == b) & (limited != unlimited) & at_a_start):
            return True
    return False


def find_limit(params: Any) -> tuple[str, Any, Callable[[Any], Any]] | None:
    """The time limit among parameters, or within those that a wrapper has around them: name, value, and params with another."""
    if not dataclasses.is_dataclass(params) or isinstance(params, type):
        return None
    name = next((f for f in LIMITS if hasattr(params, f)), None)
    if name is not None:
        value = getattr(params, name)
        if getattr(value, "shape", None) != ():
            return None
        return name, value, lambda limit: dataclasses.replace(params, **{name: limit})
    inner = find_limit(getattr(params, "env", None))
    if inner is None:
        return None
    name, value, put = inner
    return name, value, lambda limit: dataclasses.replace(params, env=put(limit))


def _last(path: Any) -> str:
    entry = path[-1] if path else None
    return str(getattr(entry, "key", getattr(entry, "name", ""))).lower()


def _same(a: Any, b: Any) -> bool:
    return np.array_equal(host(a), host(b), equal_nan=False)


def _numbers(state: Any) -> dict[int, float]:
    """Scalar leaves of a state by position."""
    leaves = [host(x) for x in jax.tree.leaves(state)]
    return {i: float(x) for i, x in enumerate(leaves) if x.shape == () and x.dtype != bool}
