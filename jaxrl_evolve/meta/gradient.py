"""Meta-gradients: an objective improves by differentiating agents' returns through their own updates.

Every agent of a set makes a few updates by the objective, and what its policy then earns is differentiated
with respect to the objective's parameters (Xu et al. 2018, arXiv 1805.09801; for LPG, Oh et al. 2020, section
3.3). What the agents did is held constant, so the estimate leaves out how later data depend on earlier
parameters, as usual.

Three paths are easily cut by mistake, and are tested not to be. The objective reads the agent's predictions
anew at every update, so a target given at one update is felt at the next. The baseline is a critic of each
life's own, which learns. And norms have derivatives where they are zero.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Int

from jaxrl_evolve.curricula.level_buffer import NEW, Draw
from jaxrl_evolve.experience.returns import gae
from jaxrl_evolve.learners.optimiser import clipped_step, init_optimiser, norm
from jaxrl_evolve.meta.experiment import MetaExperiment, Programs, lanes_of
from jaxrl_evolve.meta.gradient_config import GradientConfig
from jaxrl_evolve.meta.groove import Task, curation, drawn_or_new, record
from jaxrl_evolve.meta.horizons import sample_horizons
from jaxrl_evolve.meta.lifetimes import PAIRS
from jaxrl_evolve.networks.table import make_network
from jaxrl_evolve.objectives.actor_critic import normalised
from jaxrl_evolve.runs.chunk import TrainState, make_chunk, make_update
from jaxrl_evolve.runs.rollout import rollout
from jaxrl_evolve.trajectory import Trajectory

_TABLE_CRITIC_RATE, _NETWORK_CRITIC_RATE = 0.05, 1e-3


@struct.dataclass
class Life:
    """One agent in the middle of its life.

    Attributes:
        train: the agent and its environments.
        params: its task.
        horizon: updates in a whole life, which its clock shows; int32.
        retire: updates after which it gives way to another; int32. Less than the horizon for the first lives, so
            that not all are of one age for ever.
        critic: parameters of the baseline.
        critic_optimiser: its Adam state.
        number: of its level in the buffer, or `NEW`; ``()`` where levels are not curated.
    """

    train: TrainState
    params: Any
    horizon: Int[Array, ""]
    retire: Int[Array, ""]
    critic: Any
    critic_optimiser: Any
    number: Any = ()


@struct.dataclass
class GradientState:
    """State between two meta-updates.

    Attributes:
        eta: the objective's parameters.
        optimiser: Adam's state over them.
        lives: the agents, leaves ``[lifetimes, ...]``.
        generation: meta-updates made, int32 scalar.
        key: typed key, the source of new lives.
        levels: buffer of curated levels, or ``()``.
    """

    eta: Any
    optimiser: Any
    lives: Life
    generation: Int[Array, ""]
    key: Array
    levels: Any = ()


def gradient_programs(config: Any, experiment: MetaExperiment, mesh: Mesh | None = None) -> Programs:
    """The functions of a meta-training by meta-gradients.

    Args:
        config: a `MetaTrainConfig`.
        experiment: what it means.
        mesh: one-axis mesh (named `PAIRS`) over which lives are split; its size must divide their number.

    Raises:
        ValueError: lives can be shorter than one meta-update, or the agents have memory.
    """
    c: GradientConfig = config.gradient
    env, learner, venv, length = experiment.env, experiment.learner, experiment.venv, config.rollout_length
    least = config.horizons.range[0]
    if least < c.inner_updates:
        raise ValueError(
            f"horizons.low is {least}; a meta-gradient through {c.inner_updates} updates needs lives of at least "
            "as many"
        )
    if config.learner.network.memory != "none":
        raise ValueError(
            f"learner.network.memory is {config.learner.network.memory!r}; meta-gradients take feed-forward agents"
        )
    critic = make_network(config.learner.network, env.observation_space, env.action_space)
    tabular = config.learner.network.encoder == "tabular"
    critic_rate = c.critic_learning_rate or (_TABLE_CRITIC_RATE if tabular else _NETWORK_CRITIC_RATE)
    chunk = make_chunk(learner, venv, length)
    # Only what an update reads is kept for the backward pass; what it computes is computed again.
    frugal = learner._replace(update=jax.checkpoint(learner.update, prevent_cse=False))
    one_update = make_update(frugal, venv, length)
    per_device = c.lifetimes // (1 if mesh is None else mesh.size)
    lanes = _divisor(per_device, lanes_of(config, 1))

    curated = curation(config, experiment)

    def new_life(key: Array, hp: Any, progress: Array, staggered: bool, drawn: Draw | None = None) -> Life:
        key_task, key_agent, key_horizon, key_age, key_critic = jax.random.split(key, 5)
        params = env.params if env.sample_params is None else env.sample_params(key_task)
        horizon = sample_horizons(config.horizons, key_horizon, 1, progress)[0]
        number = jnp.full((), NEW, jnp.int32) if curated else ()
        if drawn is not None:
            number = drawn.numbers
            task = drawn_or_new(number, drawn.levels, Task(params, horizon))
            params, horizon = task.params, task.horizon
        retire = horizon
        if staggered:
            retire = jax.random.randint(key_age, (), c.inner_updates, horizon + 1, jnp.int32)
        values = critic.init(key_critic)
        return Life(
            chunk.init(key_agent, hp, params),
            params,
            horizon,
            retire,
            values,
            init_optimiser("adam", ravel_pytree(values)[0]),
            number,
        )

    def learn_values(life: Life, t: Trajectory) -> tuple[Life, Array, Array]:
        """The life with its critic improved, advantages by the critic before that, and the first loss."""

        def estimates(params: Any) -> tuple[Array, Array, Array]:
            value, after = critic.value(params, t.obs, ()), critic.value(params, t.next_obs, ())
            return value, *gae(t.reward, value, after, t.terminated, t.ended, c.gamma, c.gae_lambda)

        _, advantage, target = estimates(life.critic)

        def loss(params: Any) -> Array:
            return 0.5 * jnp.square(critic.value(params, t.obs, ()) - target).mean()

        def step(carry: Any, _: Any) -> Any:
            params, optimiser = carry
            error, gradient = jax.value_and_grad(loss)(params)
            flat, unravel = ravel_pytree(gradient)
            move, _, optimiser = clipped_step("adam", optimiser, flat, critic_rate, jnp.inf, 1e-8)
            return (jax.tree.map(jnp.add, params, unravel(move)), optimiser), error

        start = (life.critic, life.critic_optimiser)
        (params, optimiser), errors = jax.lax.scan(step, start, None, c.critic_epochs)
        return replace(life, critic=params, critic_optimiser=optimiser), advantage, errors[0]

    def meta_loss(eta: Any, life: Life, hp: Any) -> tuple[Array, tuple[Life, dict[str, Array]]]:
        horizon = life.horizon.astype(jnp.float32)

        def inner(state: TrainState, _: Any) -> tuple[TrainState, dict[str, Array]]:
            return one_update(state, hp, eta, life.params, horizon)[:2]

        state, metrics = jax.lax.scan(inner, life.train, None, c.inner_updates)
        metrics = {name: values.mean() for name, values in metrics.items()}
        key, key_test = jax.random.split(state.key)
        envs, memory, t, ended = rollout(
            key_test, learner, state.learner, venv, state.envs, state.memory, life.params, length
        )
        log_prob, t = t.policy.log_prob, jax.lax.stop_gradient(t)
        life, advantage, critic_loss = learn_values(life, t)
        earned = (log_prob * jax.lax.stop_gradient(normalised(advantage))).mean()
        total = (
            -earned
            - c.policy_entropy * metrics["entropy"]
            - c.prediction_entropy * metrics.get("prediction_entropy", 0.0)
            + c.policy_target * metrics.get("policy_target_square", 0.0)
            + c.prediction_target * metrics.get("prediction_target_square", 0.0)
        )
        state = replace(state, key=key, envs=envs, memory=memory)
        facts = {
            **{f"agent_{name}": value for name, value in metrics.items()},
            "meta_loss": total,
            "critic_loss": critic_loss,
            "returns": ended.returns,
            "episodes": ended.episodes,
        }
        return total, jax.lax.stop_gradient((replace(life, train=state), facts))

    def live(eta: Any, life: Life, hp: Any) -> tuple[Any, Life, dict[str, Array]]:
        """One life's meta-gradient, the life after it, and whether it is over."""
        gradient, (life, facts) = jax.grad(meta_loss, has_aux=True)(eta, life, hp)
        flat, unravel = ravel_pytree(gradient)
        fine = jnp.isfinite(flat).all() & (life.train.diverged < 0)
        gradient = unravel(jnp.where(fine, flat, 0.0))
        over = ~fine | (life.train.updates + c.inner_updates > life.retire)
        return gradient, life, {**facts, "failed": (~fine).astype(jnp.float32), "over": over}

    def succeeded(life: Life, over: Array, key: Array, hp: Any, progress: Array, drawn: Draw | None) -> Life:
        """The life, or another one in its place."""
        fresh = new_life(key, hp, progress, False, drawn)
        return jax.tree.map(lambda new, old: jnp.where(over, new, old), fresh, life)

    def sequence(
        eta: Any, lives: Life, keys: Array, hp: Any, progress: Array, drawn: Draw | None, judges: Array
    ) -> Any:
        """Summed gradients of a device's lives, ``lanes`` of them at a time."""

        def group(total: Any, own: Life) -> Any:
            gradients, after, facts = jax.vmap(live, (None, 0, None))(eta, own, hp)
            return jax.tree.map(lambda t, g: t + g.sum(0), total, gradients), (after, facts)

        grouped = jax.tree.map(lambda x: x.reshape((-1, lanes, *x.shape[1:])), lives)
        start = jax.tree.map(jnp.zeros_like, eta)
        total, outcome = jax.lax.scan(group, start, grouped)
        lives, facts = jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), outcome)
        spent = jnp.zeros((), jnp.float32)
        if curated:
            finished = facts["over"] & (facts["failed"] == 0) & (lives.retire == lives.horizon)
            train = lives.train
            regrets, spent = curated.regrets(judges, train.learner, lives.params, train.updates, finished)
            facts |= {"regret": regrets, "finished": finished}
        lives = jax.vmap(succeeded, (0, 0, 0, None, None, 0))(lives, facts["over"], keys, hp, progress, drawn)
        if mesh is not None:
            total, spent = jax.lax.psum((total, spent), PAIRS)
        return total, lives, facts, spent

    every = sequence
    if mesh is not None:
        split, whole = PartitionSpec(PAIRS), PartitionSpec()
        every = jax.shard_map(
            sequence,
            mesh=mesh,
            in_specs=(whole, split, split, whole, whole, split, split),
            out_specs=(whole, split, split, whole),
            check_vma=False,
        )

    def init(key: Array, hp: Any) -> GradientState:
        key, key_start, key_lives = jax.random.split(key, 3)
        eta = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), experiment.start(key_start))
        lives = jax.vmap(lambda k: new_life(k, hp, jnp.float32(0.0), True))(
            jax.random.split(key_lives, c.lifetimes)
        )
        optimiser = init_optimiser("adam", ravel_pytree(eta)[0])
        buffer = curated.init() if curated else ()
        return GradientState(eta, optimiser, lives, jnp.zeros((), jnp.int32), key, buffer)

    def generation(state: GradientState, hp: Any) -> tuple[GradientState, dict[str, Array]]:
        key, key_lives, key_levels, key_judges = jax.random.split(state.key, 4)
        progress = state.generation.astype(jnp.float32) / max(config.generations - 1, 1)
        keys = jax.random.split(key_lives, c.lifetimes)
        judges, before, drawn = jax.random.split(key_judges, c.lifetimes), state.lives, None
        if curated:
            ending = before.train.updates + 2 * c.inner_updates > before.retire
            drawn = curated.sample(key_levels, state.levels, ending, before.number)
        total, lives, facts, spent = every(state.eta, before, keys, hp, progress, drawn, judges)
        flat, unravel = ravel_pytree(total)
        failed, _ = facts.pop("failed").sum(), facts.pop("over")
        buffer, curation_facts = state.levels, {}
        if curated:
            task = Task(before.params, before.horizon)
            outcome = (facts.pop("regret"), facts.pop("finished"))
            buffer, curation_facts = record(buffer, before.number, task, *outcome)
            curation_facts["antagonist_updates"] = spent
        mean = flat / jnp.maximum(c.lifetimes - failed, 1.0)
        move, size, optimiser = clipped_step("adam", state.optimiser, mean, c.learning_rate, c.max_norm, 1e-8)
        eta = jax.tree.map(jnp.add, state.eta, unravel(move))
        returns, episodes = facts.pop("returns").sum(), facts.pop("episodes").sum()
        metrics = {name: values.mean() for name, values in facts.items()}
        metrics |= {
            "fitness": returns / episodes,
            "failed": failed,
            "updates": c.lifetimes * c.inner_updates + spent,
            "gradient_norm": size,
            "step_norm": norm(move),
            "parameter_norm": norm(ravel_pytree(eta)[0]),
            **curation_facts,
        }
        return GradientState(eta, optimiser, lives, state.generation + 1, key, buffer), metrics

    return Programs(init, generation, split=("lives",))


def _divisor(count: int, wanted: int) -> int:
    """The largest divisor of ``count`` up to ``wanted``; ``count`` itself where ``wanted`` is 0."""
    return max(d for d in range(1, count + 1) if count % d == 0 and (not wanted or d <= wanted))
