"""Evaluation in environments of its own: whole episodes, greedy or sampled.

Every slot plays exactly one episode, so short episodes are not counted more often than long ones, and
training's running episodes are left alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_envs.contract import Env, own_end, own_reward, reported
from jaxrl_envs.fusion import computed_once
from jaxrl_envs.parameters import limits
from jaxrl_envs.vector import choose
from jaxrl_evolve.learners.learner import Learner, Mode
from jaxrl_evolve.runs.tasks import drawn_tasks
from jaxrl_evolve.settings.names import suggestion
from jaxrl_evolve.settings.notices import Notice


@struct.dataclass
class Episodes:
    """Outcome of ``E`` evaluation episodes.

    Attributes:
        returns: undiscounted return, float32 ``[E]``.
        lengths: steps, int32 ``[E]``.
        finished: whether the episode ended within the step limit, bool ``[E]``; else its return is what had
            been collected by then.
        info: what `Env.metrics` names, at each episode's last step, float32 ``[E, ...]``.
    """

    returns: Float[Array, " E"]
    lengths: Int[Array, " E"]
    finished: Bool[Array, " E"]
    info: dict[str, Float[Array, "E ..."]] = struct.field(default_factory=dict)


MOST_STEPS = 10_000
"""Steps after which an episode is cut off where the environment has no longer limit of its own."""


def longest(env_params: Any) -> Int[Array, ""]:
    """Steps that an episode may take: the environment's own limit, the largest of several, and at least `MOST_STEPS`.

    So no episode that its environment ends is cut off; what ends them at a limit of fewer steps is the environment. A
    limit that int32 cannot count, or only just, is none.

    Args:
        env_params: parameters of one task, or of many.
    """
    most = jnp.int32(MOST_STEPS)
    for _, limit in limits(env_params):
        limit = jnp.asarray(limit)
        told = jnp.where(limit < 2.0**31 - 256, limit, 0)  # float32 has no number between this one and 2^31
        most = jnp.maximum(most, jnp.max(told).astype(jnp.int32))
    return most


def warn_of_cut(field: str, max_steps: int, env: Env) -> None:
    """Tell (`Notice`) that episodes will be cut off, by the setting ``field``, before the environment's own limit ends them."""
    own = max((int(np.max(limit)) for _, limit in limits(env.params)), default=0)
    if own > max_steps:
        warnings.warn(
            f"{field} is {max_steps:,}, but {env.name} lets an episode last {own:,} steps: returns of longer ones are of "
            "their beginning",
            Notice,
            stacklevel=3,
        )


class _Carry(NamedTuple):
    step: Array
    key: Array
    obs: Any
    state: Any
    memory: Any
    episodes: Episodes


def check_mode(mode: str) -> None:
    """Raise ValueError if ``mode`` is not one of evaluation."""
    if mode not in ("greedy", "sample"):
        hint = suggestion(mode, ("greedy", "sample"))
        raise ValueError(f"mode is {mode!r}, which is not known: {hint}")


def make_evaluation(
    env: Env,
    learner: Learner,
    episodes: int,
    max_steps: int | None = None,
    mode: Mode = "greedy",
    drawn: bool = False,
    each: bool = False,
) -> Callable[[Array, Any, Any], Episodes]:
    """A compilable ``(key, learner_state, env_params) -> Episodes``.

    Args:
        env: the environment to evaluate in.
        learner: whose ``act`` chooses.
        episodes: ``E``, played side by side.
        max_steps: at most this many steps an episode; None for as many as the parameters allow, see `longest`.
        mode: ``"greedy"`` or ``"sample"``.
        drawn: whether each episode is played on a task of its own, drawn by the environment, instead of on
            ``env_params``.
        each: whether ``env_params`` has leaves ``[E, ...]``, a task for every episode.

    Raises:
        ValueError: on sizes below one, a mode that is neither, or tasks to be drawn where the environment draws none.
    """
    if drawn and env.sample_params is None:
        raise ValueError(f"drawn is True, but {env.name} is one task only; it must be False")
    check_mode(mode)
    if episodes < 1 or (max_steps is not None and max_steps < 1):
        raise ValueError(f"episodes is {episodes} and max_steps {max_steps}; both must be at least 1")

    def evaluate(key: Array, learner_state: Any, env_params: Any) -> Episodes:
        actor = learner.actor(learner_state)
        key, key_reset = jax.random.split(key)
        if drawn:
            # Not folded in: that would give the key which the first episode is reset with.
            key_reset, key_tasks = jax.random.split(key_reset)
            env_params = drawn_tasks(env, key_tasks, env_params, episodes)
        along = 0 if drawn or each else None
        obs, state = jax.vmap(env.reset, (0, along))(jax.random.split(key_reset, episodes), env_params)
        fresh = Episodes(
            jnp.zeros((episodes,), jnp.float32),
            jnp.zeros((episodes,), jnp.int32),
            jnp.zeros((episodes,), bool),
            nothing_seen(env, episodes),
        )
        carry = _Carry(jnp.zeros((), jnp.int32), key, obs, state, learner.initial_memory(episodes), fresh)

        most = longest(env_params) if max_steps is None else max_steps

        def running(carry: _Carry) -> Array:
            return (carry.step < most) & ~carry.episodes.finished.all()

        def step(carry: _Carry) -> _Carry:
            key, key_act, key_step = jax.random.split(carry.key, 3)
            first = jnp.full((episodes,), carry.step == 0)
            action, memory, _ = learner.act(actor, carry.obs, first, carry.memory, key_act, mode=mode)
            keys = jax.random.split(key_step, episodes)
            out = computed_once(jax.vmap(env.step, (0, 0, 0, along))(keys, carry.state, action, env_params))
            done = carry.episodes
            live = ~done.finished
            seen = Episodes(
                done.returns + jnp.where(live, own_reward(out), 0.0),
                done.lengths + live,
                done.finished | own_end(out),
                choose(live, {name: out.info[name].astype(jnp.float32) for name in env.metrics}, done.info),
            )
            return _Carry(carry.step + 1, key, out.obs, out.state, memory, seen)

        return jax.lax.while_loop(running, step, carry).episodes

    return evaluate


def nothing_seen(env: Env, episodes: int) -> dict[str, Array]:
    """Zeros for what the environment reports of ``episodes`` episodes, float32 ``[episodes, ...]`` by name."""
    if not env.metrics:
        return {}
    key, params = jax.random.key(0), env.params
    first = lambda key: env.step(key, env.reset(key, params)[1], env.action_space.sample(key), params).info
    seen = reported(env.metrics, jax.eval_shape(first, key))
    return {name: jnp.zeros((episodes, *x.shape), jnp.float32) for name, x in seen.items()}
