"""ADCL (arXiv 2505.08364): easy to hard in windows of arms, each measured anew, and sorted, just before it is entered."""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int

from jaxrl_evolve.curricula.arms.bandit import Bandit, Feedback, Hyperparameters
from jaxrl_evolve.curricula.arms.choice import evenly, with_floor
from jaxrl_evolve.curricula.arms.estimator import Successes, learned, nothing_known, posterior


@struct.dataclass
class State:
    """Successes, the arms from easy to hard, and the number of updates."""

    successes: Successes
    order: Int[Array, " arms"]
    updates: Int[Array, ""]


def adcl(windows: int = 4, probe: int = 2, stay: int = 25) -> Bandit:
    """All arms are measured and sorted; then each window in turn is measured, sorted anew, and gone through from easy to hard.

    After the last window every arm is drawn alike.

    Args:
        windows: how many; at most as many as there are arms count.
        probe: updates of measuring, of all arms at first and of each window's.
        stay: updates of going through a window.
    """
    period = probe + stay

    def where(state: State) -> tuple[Array, Array]:
        """The window, -1 before the first, and the updates since it was entered."""
        since = state.updates - probe
        return jnp.where(since < 0, -1, since // period), jnp.where(since < 0, state.updates, since % period)

    def probabilities(key: Array, state: State, available: Array, hp: Hyperparameters) -> Array:
        del key
        arms = available.shape[0]
        now, since = where(state)
        place = jnp.argsort(state.order)  # of each arm
        window = _window(place, arms, windows)
        inside = window == now
        first, size = jnp.where(inside, place, arms).min(), jnp.maximum(inside.sum(), 1)
        at = first + jnp.clip((since - probe) * size // stay, 0, size - 1)
        wanted = jnp.where(since < probe, inside, place == at)
        for instead in (inside, available):  # where all that is wanted is unavailable, or no window is left
            wanted = jnp.where((wanted & available).any(), wanted & available, instead)
        return with_floor(evenly(wanted), available, jnp.asarray(hp.floor, jnp.float32))

    def update(key: Array, state: State, feedback: Feedback, hp: Hyperparameters) -> State:
        del key
        state = State(learned(state.successes, feedback, hp), state.order, state.updates + 1)
        arms = feedback.count.shape[0]
        now, since = where(state)
        hardness = 1.0 - posterior(state.successes, hp).mean
        place = jnp.argsort(state.order)
        window = _window(place, arms, windows)
        everything = state.updates == probe
        # A window keeps its arms, in its place among the others.
        within = window + jnp.where(window == now, hardness, place / arms)
        sorted_ = jnp.argsort(jnp.where(everything, hardness, within), stable=True).astype(jnp.int32)
        measured = everything | ((since == probe) & (now >= 0))
        return State(state.successes, jnp.where(measured, sorted_, state.order), state.updates)

    def init(arms: int, hp: Hyperparameters) -> State:
        del hp
        return State(nothing_known(arms), jnp.arange(arms, dtype=jnp.int32), jnp.zeros((), jnp.int32))

    return Bandit(init, probabilities, update)


def _window(place: Array, arms: int, windows: int) -> Array:
    return place * min(windows, arms) // arms
