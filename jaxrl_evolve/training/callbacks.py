"""What a program may do at each row of a training: functions of its own, told on the host, between compiled stretches."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxrl_evolve.storage.sinks import Sink
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.programs import to_host


class Moment:
    """Where a training is when a callback is told of a row. What it gives are copies: nothing done to them changes the run.

    Attributes:
        config: what was asked for.
        updates: updates made.
        env_steps: environment steps made, per seed.
        diverged: the update at which each run diverged, or -1, ``[runs]``.
        over: whether the run has gone on, and its state can no longer be read.
    """

    def __init__(
        self,
        config: TrainConfig[Any, Any],
        updates: int,
        diverged: np.ndarray,
        states: Callable[[], list[Any]],
    ) -> None:
        self.config, self.updates, self.diverged = config, updates, diverged.copy()
        self.env_steps = updates * config.steps_per_update
        self._states = states
        self.over = False

    def _now(self) -> list[Any]:
        if self.over:
            raise RuntimeError("the state can be read only while the callback runs: the run has gone on")
        return self._states()

    def states(self) -> list[Any]:
        """The training states, one `TrainState` per group of runs, leaves ``[runs of the group, ...]``, in NumPy arrays and
        in keys of the host's own. Copied when asked for, and only while the callback runs.
        """
        return [_copied(state) for state in self._now()]

    def learner_state(self) -> Any:
        """The learners' states, leaves ``[runs, ...]`` in NumPy arrays."""
        parts = [_copied(state.learner) for state in self._now()]
        return jax.tree.map(lambda *x: np.concatenate(x), *parts)


Callback = Callable[[dict[str, Any], Moment], None]
"""``(row, moment)``: the row as ``metrics.jsonl`` has it (`eval_return` is in it where the run evaluates), and where the run is."""


def check_listeners(callbacks: Any, destinations: Any) -> None:
    """Refuse what could not be told of a row, before anything is compiled.

    Args:
        callbacks: should be a sequence of functions ``(row, moment)``.
        destinations: should be a sequence of `Sink`.

    Raises:
        ValueError: saying what it is instead.
    """
    for name, given, what in (
        ("callbacks", callbacks, "functions of a row and a moment"),
        ("destinations", destinations, "objects of type Sink"),
    ):
        if not isinstance(given, Sequence) or isinstance(given, Sink | str):
            raise ValueError(f"{name} is {given!r}; it must be a list of {what}")
    for callback in callbacks:
        if not callable(callback):
            raise ValueError(f"callbacks has {callback!r}; it must be a function of a row and a moment")
        try:
            inspect.signature(callback).bind({}, None)
        except TypeError as error:
            raise ValueError(
                f"callbacks has {callback!r}, which cannot be called with a row and a moment: {error}"
            ) from None
        except ValueError:  # one of C without a signature, of which nobody can say
            pass
    for destination in destinations:
        if not isinstance(destination, Sink):
            raise ValueError(
                f"destinations has {destination!r}; it must be of type Sink, which has write and close"
            )


def told(callbacks: Sequence[Callback], sinks: Sequence[Sink]) -> list[Callback]:
    """Everyone who is told of rows, as callbacks."""
    return [*callbacks, *(lambda row, at, sink=sink: sink.write(row, at.env_steps) for sink in sinks)]


def tell(
    callbacks: Sequence[Callback], row: dict[str, Any], moment: Moment, stop: Callable[[], None]
) -> None:
    """Tell each of a row, with a copy of its own.

    Args:
        callbacks: in their order.
        row: that was written.
        moment: where the run is; it says nothing more afterwards.
        stop: ends the run in order, called if one of them fails. What it raised goes on.
    """
    try:
        for callback in callbacks:
            callback(copy.deepcopy(row), moment)
    except BaseException:
        if jax.process_count() == 1:  # the others wait in vain where only one fails, and end by themselves
            stop()
        raise
    finally:
        moment.over = True


def _copied(state: Any) -> Any:
    """On the host, keys too."""

    def leaf(x: Any) -> Any:
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(to_host(jax.random.key_data(x)), impl=jax.random.key_impl(x))
        return np.array(to_host(x))

    return jax.tree.map(leaf, state)
