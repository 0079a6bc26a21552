"""Acting: unroll a policy in a batch of environments and record what happened."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from jaxrl_envs.contract import own_end, reported
from jaxrl_envs.vector import VectorEnv, VectorState, choose
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.runs.tasks import Assignment
from jaxrl_evolve.trajectory import Trajectory


@struct.dataclass
class EpisodeSums:
    """Sums over the episodes that ended in some stretch of experience; float32 scalars.

    ``info`` has the sums of what `Env.metrics` names, at the last steps of episodes, float32 of its shapes.

    Sums of fixed shape instead of lists of episodes: they add up over steps, updates and devices.
    """

    episodes: Float[Array, ""]
    returns: Float[Array, ""]
    lengths: Float[Array, ""]
    info: dict[str, Float[Array, ...]] = struct.field(default_factory=dict)

    @classmethod
    def none(cls, like: EpisodeSums | None = None) -> EpisodeSums:
        """No episode has ended; ``like`` tells the shapes of what else is summed."""
        zero = jnp.zeros((), jnp.float32)
        others = {} if like is None else like.info
        return cls(zero, zero, zero, {name: jnp.zeros(x.shape, jnp.float32) for name, x in others.items()})

    def __add__(self, other: EpisodeSums) -> EpisodeSums:
        return jax.tree.map(jnp.add, self, other)


class Played(NamedTuple):
    """What was seen in a rollout.

    Attributes:
        trajectory: leaves ``[T, N, ...]``.
        episodes: sums over the episodes that ended.
        episode_return: float32 ``[T, N]``, reward of the running episode up to and with this step.
        episode_length: int32 ``[T, N]``, its steps.
    """

    trajectory: Trajectory
    episodes: EpisodeSums
    episode_return: Float[Array, "T N"] | None = None
    episode_length: Int[Array, "T N"] | None = None


def rollout(
    key: Array,
    learner: Learner,
    learner_state: Any,
    venv: VectorEnv,
    venv_state: VectorState,
    memory: Any,
    env_params: Any,
    length: int,
) -> tuple[VectorState, Any, Trajectory, EpisodeSums]:
    """Act for ``length`` steps in every slot, exploring.

    Args:
        key: randomness of actions, environment and resets.
        learner: whose ``act`` chooses.
        learner_state: its state, not changed here.
        venv: ``N`` slots of an environment.
        venv_state: where they are.
        memory: the policy's memory before the current observations.
        env_params: environment parameters.
        length: steps ``T``.

    Returns:
        The slots' new state, the policy's new memory, the trajectory ``[T, N, ...]``, and sums over the
        episodes that ended.
    """
    actor = learner.actor(learner_state)

    def step(carry: tuple[VectorState, Any, Array], keys: Array) -> tuple[Any, Any]:
        state, memory, returns = carry
        state, memory, seen = _act(keys, learner, actor, venv, state, memory, env_params)
        return (state, memory, returns + _final_return(seen)), seen.transition

    keys = jax.random.split(key, (length, 2))
    start = (venv_state, memory, jnp.zeros((venv.num_envs,), jnp.float32))
    (after, memory, returns), trajectory = jax.lax.scan(step, start, keys)
    ended = _ended_episodes(venv.env.metrics, venv_state, after, trajectory, returns)
    return after, memory, trajectory, ended


def rollout_on_tasks(
    key: Array,
    learner: Learner,
    learner_state: Any,
    venv: VectorEnv,
    venv_state: VectorState,
    memory: Any,
    running: Assignment,
    proposed: Assignment,
    length: int,
) -> tuple[VectorState, Any, Assignment, Played]:
    """Like `rollout`, every slot on a task of its own.

    Args:
        key: randomness of actions, environment and resets.
        learner: whose ``act`` chooses.
        learner_state: its state, not changed here.
        venv: ``N`` slots of an environment, each with parameters of its own.
        venv_state: where they are.
        memory: the policy's memory before the current observations.
        running: tasks of the running episodes.
        proposed: tasks that slots go over to where their episodes end.
        length: steps ``T``.

    Returns:
        The slots' new state, the policy's new memory, the tasks of the episodes that then run, and what was seen.
    """
    actor = learner.actor(learner_state)

    def step(carry: tuple[VectorState, Any, Assignment, Array], keys: Array) -> tuple[Any, Any]:
        state, memory, running, returns = carry
        state, memory, seen = _act(keys, learner, actor, venv, state, memory, running.params, proposed.params)
        transition = replace(seen.transition, task=running.number)
        running = choose(state.first, proposed, running)  # the next step begins an episode
        carry = state, memory, running, returns + _final_return(seen)
        return carry, (transition, seen.episode_return, seen.episode_length)

    keys = jax.random.split(key, (length, 2))
    start = (venv_state, memory, running, jnp.zeros((venv.num_envs,), jnp.float32))
    (after, memory, running, final), seen = jax.lax.scan(step, start, keys)
    trajectory, returns, lengths = seen
    ended = _ended_episodes(venv.env.metrics, venv_state, after, trajectory, final)
    return after, memory, running, Played(trajectory, ended, returns, lengths)


class _Seen(NamedTuple):
    transition: Trajectory
    episode_return: Array
    episode_length: Array


def _act(
    keys: Array,
    learner: Learner,
    actor: Any,
    venv: VectorEnv,
    state: VectorState,
    memory: Any,
    params: Any,
    next_params: Any = None,
) -> tuple[VectorState, Any, _Seen]:
    """One step of every slot."""
    action, next_memory, policy = learner.act(actor, state.obs, state.first, memory, keys[0], mode="explore")
    next_state, seen = venv.step(keys[1], state, action, params, next_params)
    transition = Trajectory(
        obs=state.obs,
        action=action,
        reward=seen.reward,
        terminated=seen.terminated,
        truncated=seen.truncated,
        first=state.first,
        next_obs=_numbers(seen.next_obs, seen.terminated),
        policy=policy,
        info=seen.info,
    )
    return next_state, next_memory, _Seen(transition, seen.episode_return, seen.episode_length)


def _numbers(next_obs: Any, terminated: Array) -> Any:
    """Successors with zeros for what is no finite number where the task ended.

    Nothing may depend on such a successor, but what reads it and is thrown away has a derivative, and zero times NaN is
    NaN. Where the task goes on, what the environment says stands.
    """

    def leaf(x: Array) -> Array:
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return x
        over = terminated.reshape(terminated.shape + (1,) * (x.ndim - 1))
        return jnp.where(over & ~jnp.isfinite(x), jnp.zeros((), x.dtype), x)

    return jax.tree.map(leaf, next_obs)


def _final_return(seen: _Seen) -> Array:
    """What each episode that ends with this step has collected, 0 where one goes on, float32 ``[N]``."""
    return jnp.where(own_end(seen.transition), seen.episode_return, 0.0)


def _ended_episodes(
    metrics: tuple[str, ...],
    before: VectorState,
    after: VectorState,
    trajectory: Trajectory,
    returns: Float[Array, " N"],
) -> EpisodeSums:
    """Sums over the episodes that ended, without a record of each.

    Their steps are those that running episodes had taken before and that were taken now, less those of what is still
    running after: whole numbers, of which nothing is lost. Of returns a difference would keep the rounding of every
    running episode, and what is not finite in one, so these are summed slot by slot where episodes end.
    """
    episodes = own_end(trajectory).sum(dtype=jnp.float32)
    steps = trajectory.reward.size + before.episode_length.sum() - after.episode_length.sum()
    seen = reported(metrics, trajectory.info)
    info = {name: _at_ends(values, own_end(trajectory)) for name, values in seen.items()}
    return EpisodeSums(episodes, returns.sum(), steps.astype(jnp.float32), info)


def _at_ends(values: Array, ended: Array) -> Array:
    """The sum of ``values [T, N, ...]`` over the steps that ended an episode, float32."""
    over = ended.reshape(ended.shape + (1,) * (values.ndim - ended.ndim))
    return jnp.where(over, values.astype(jnp.float32), 0.0).sum((0, 1))
