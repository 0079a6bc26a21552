"""A trained policy as a function: one observation or a batch of them to actions, as in evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_envs.spaces import Space
from jaxrl_evolve import random
from jaxrl_evolve.compilation import kept
from jaxrl_evolve.learners.learner import Learner, Mode
from jaxrl_evolve.runs.evaluation import check_mode
from jaxrl_evolve.settings.foreign import told


class Carry(NamedTuple):
    """What a policy carries from one step to the next; of a single observation there is no axis ``N``.

    Attributes:
        memory: leaves ``[N, ...]``, or ``()`` of a policy without memory.
        first: bool ``[N]``, whether the next observation begins an episode. ``carry._replace(first=ended)`` says so
            where episodes have ended; the memory is then cleared before the observation is read.
    """

    memory: Any
    first: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Policy:
    """``policy(observation, carry, key) -> (action, carry)``: pure, so it can be jitted, vmapped and scanned over.

    Observations are given as the environment shows them: statistics that normalise them, scales of pixels and bounds of
    actions are the policy's own. Actions are what the environment's ``step`` is given in training: a Normal policy's
    are not clipped to the bounds, since the environment does that.

    Attributes:
        actor: the parameters and statistics that it acts by.
        mode: ``"greedy"`` or ``"sample"``.
        observation_space: of one observation.
        action_space: of one action.
        act: ``(actor, observation, carry, key) -> (action, carry)``, of one observation or ``[N, ...]``; jitted.
        initial_memory: ``num_envs -> memory``.
        any_key: what a greedy policy is given where there is no key.
    """

    actor: Any
    mode: Mode
    observation_space: Space
    action_space: Space
    act: Callable[[Any, Any, Carry, Any], tuple[Any, Carry]]
    initial_memory: Callable[[int], Any]
    any_key: Array

    def __repr__(self) -> str:
        """One line, without the weights."""
        weights = sum(np.size(leaf) for leaf in jax.tree.leaves(self.actor))
        return f"Policy({self.mode}, {told(self.observation_space)} -> {told(self.action_space)}, {weights:,} numbers)"

    def start(self, num_envs: int | None = None) -> Carry:
        """The carry before the first observation of an episode.

        Args:
            num_envs: how many episodes are played side by side; None for a single one, without an axis.
        """
        if num_envs is None:
            return _without_axis(self.start(1))
        return Carry(self.initial_memory(num_envs), jnp.ones((num_envs,), bool))

    def __call__(self, observation: Any, carry: Carry | None = None, key: Any = None) -> tuple[Any, Carry]:
        """Act once.

        Args:
            observation: of the observation space's shape, or ``[N, ...]`` of that; of its dtype, or of one that becomes
                it without loss but of precision.
            carry: what the last call gave; None where all episodes begin.
            key: one of jax's random keys; a greedy policy needs none.

        Returns:
            The action (``[N, ...]`` of them) and the carry for the next call.

        Raises:
            ValueError: the observation is of another shape or dtype, the carry of another number of environments, or
                there is no key that a policy which samples could draw by.
        """
        observation = _observation(observation, self.observation_space)
        single = observation.ndim == len(self.observation_space.shape)
        carry = self.start(None if single else observation.shape[0]) if carry is None else carry
        if np.shape(carry.first) != (batch := () if single else observation.shape[:1]):
            raise ValueError(
                f"carry is of {_number(np.shape(carry.first))}, but observation of {_number(batch)}; begin with None"
            )
        if key is None and self.mode == "greedy":
            key = self.any_key
        if not isinstance(key, jax.Array):
            raise ValueError(
                f"key is {key!r}; it must be one of jax's random keys, such as jax.random.key(0)"
            )
        return self.act(self.actor, observation, carry, key)


def make_policy(
    env: Env, learner: Learner, learner_state: Any, mode: Mode = "greedy", key: Hashable | None = None
) -> Policy:
    """What a learner has learned, as a function.

    Args:
        env: read for its spaces only.
        learner: whose ``act`` chooses.
        learner_state: of one run.
        mode: ``"greedy"`` or ``"sample"``.
        key: names all that the learner closes over, by which its program is kept; None compiles anew.

    Raises:
        ValueError: on another mode.
    """
    check_mode(mode)

    def act(actor: Any, observation: Any, carry: Carry, key: Any) -> tuple[Any, Carry]:
        single = observation.ndim == len(env.observation_space.shape)
        if single:
            observation, carry = jax.tree.map(lambda x: jnp.asarray(x)[None], (observation, carry))
        first = jnp.asarray(carry.first, bool)
        action, memory, _ = learner.act(actor, observation, first, carry.memory, key, mode=mode)
        acted = action, Carry(memory, jnp.zeros_like(first))
        return _without_axis(acted) if single else acted

    compiled = kept("acting", key and (key, mode), lambda: jax.jit(act))
    return Policy(
        learner.actor(learner_state),
        mode,
        env.observation_space,
        env.action_space,
        compiled,
        learner.initial_memory,
        random.key(0),
    )


def _observation(given: Any, space: Space) -> Any:
    """An array of the space's dtype."""
    array = given if isinstance(given, jax.Array) else np.asarray(given)
    if array.shape != space.shape and array.shape[1:] != space.shape:
        batch = ", ".join(map(str, ("N", *space.shape)))
        raise ValueError(
            f"observation has shape {array.shape}; it must be {space.shape}, or ({batch}) for a batch"
        )
    if not np.can_cast(array.dtype, space.dtype, "same_kind"):
        raise ValueError(f"observation has dtype {array.dtype}; it must be {space.dtype}")
    return array.astype(space.dtype)


def _without_axis(tree: Any) -> Any:
    return jax.tree.map(lambda x: x[0], tree)


def _number(batch: tuple[int, ...]) -> str:
    return f"{batch[0]} environments" if batch else "a single environment"
