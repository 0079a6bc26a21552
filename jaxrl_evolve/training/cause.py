"""Whether it was the environment that made a run diverge: a look at it afterwards, which costs a run nothing before.

A reward that was not finite shows in the sums over episodes that every row has. An observation leaves no trace: the learner
keeps its last good state, and the episode is over. But that learner and its environments are there, so they are set going
again, and what they give is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxrl_envs.vector import VectorEnv
from jaxrl_evolve.compilation import kept
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.runs.chunk import TrainState
from jaxrl_evolve.runs.rollout import rollout, rollout_on_tasks
from jaxrl_evolve.training.experiment import Experiment
from jaxrl_evolve.trajectory import Trajectory

_STEPS, _SAMPLES = 1_000, 200_000
"""How long a look may be: steps of an environment, and of all together."""


_LOOKS = 8
"""Runs of one training that are looked into."""


def make_look(
    learner: Learner, venv: VectorEnv, rollout_length: int
) -> Callable[[TrainState, Any], tuple[Array, Array]]:
    """``(state of one run, env_params) -> (observations, rewards)``: whether some were not finite, bool scalars.

    The learner acts on from where the run is, until something is found or it has seen enough.

    Args:
        learner: whose state it is.
        venv: its environments.
        rollout_length: steps per environment in one go ``T``.
    """
    most = max(1, min(-(-_STEPS // rollout_length), _SAMPLES // (rollout_length * venv.num_envs)))

    def look(state: TrainState, env_params: Any) -> tuple[Array, Array]:
        def more(carry: Any) -> Array:
            return (carry[0] < most) & ~carry[1] & ~carry[2]

        def go_on(carry: Any) -> Any:
            count, _, _, envs, memory = carry
            acting = (jax.random.fold_in(state.key, count), learner, state.learner, venv, envs, memory)
            if venv.params_per_slot:
                running = state.tasks.running
                envs, memory, _, played = rollout_on_tasks(*acting, running, running, rollout_length)
                trajectory = played.trajectory
            else:
                envs, memory, trajectory, _ = rollout(*acting, env_params, rollout_length)
            return (count + 1, *_faults(trajectory), envs, memory)

        start = (jnp.int32(0), jnp.bool_(False), jnp.bool_(False), state.envs, state.memory)
        _, observations, rewards, _, _ = jax.lax.while_loop(more, go_on, start)
        return observations, rewards

    return look


def _faults(trajectory: Trajectory) -> tuple[Array, Array]:
    fault = lambda x: ~jnp.isfinite(x).all()
    numbers = jax.tree.leaves((trajectory.obs, trajectory.next_obs))
    found = [fault(x) for x in numbers if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.stack([jnp.bool_(False), *found]).any(), fault(trajectory.reward)


class Causes:
    """What is known of why runs diverged; of the first few it is looked into."""

    def __init__(self, experiment: Experiment, rollout_length: int, key: Hashable | None) -> None:
        """Nothing is known yet.

        Args:
            experiment: what runs.
            rollout_length: steps per environment and update.
            key: the experiment's `identity`, by which the program of a look is kept.
        """
        self._experiment, self._key = experiment, key
        self._look = make_look(experiment.learner, experiment.venv, rollout_length)
        self._known: dict[int, str] = {}

    def of(
        self, run: int, states: Callable[[], TrainState], row: Mapping[str, np.ndarray] | None = None
    ) -> str:
        """The environment's part in it, as a clause that goes on a sentence; empty if it has none that is known.

        Args:
            run: number of the run.
            states: gives the state of that run, leaves ``[1, ...]``.
            row: metrics of the updates in which it diverged, ``[runs]`` by name, if they are there.
        """
        if run not in self._known and len(self._known) < _LOOKS:
            self._known[run] = self._found(run, states, row)
        said = self._known.get(run)
        return f", because the environment gives {said} that are not finite" if said else ""

    def _found(self, run: int, states: Callable[[], TrainState], row: Mapping[str, np.ndarray] | None) -> str:
        if row is not None and row["episodes"][run] > 0 and not np.isfinite(row["episode_return"][run]):
            return "rewards"
        if jax.process_count() > 1:  # the run's state may lie with another process
            return ""
        program = kept("look", self._key, lambda: jax.jit(self._look))
        state = jax.tree.map(lambda x: x[0], states())
        observations, rewards = program(state, self._experiment.env.params)
        return "observations" if observations else "rewards" if rewards else ""
