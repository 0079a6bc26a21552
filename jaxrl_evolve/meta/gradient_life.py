"""Lives of a meta-training by meta-gradients: how one begins, a few updates of it, and their derivative.

Three paths are easily cut by mistake, and are tested not to be. The objective reads the agent's predictions
anew at every update, so a target given at one update is felt at the next. The baseline is a critic of each
life's own, which learns. And norms have derivatives where they are zero.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Int

from jaxrl_evolve.experience.returns import gae
from jaxrl_evolve.learners.optimiser import clipped_step, init_optimiser
from jaxrl_evolve.meta.experiment import MetaExperiment
from jaxrl_evolve.meta.groove import Curation, Task, curation
from jaxrl_evolve.meta.horizons import sample_horizons
from jaxrl_evolve.networks.network import Network
from jaxrl_evolve.networks.table import make_network
from jaxrl_evolve.objectives.actor_critic import normalised
from jaxrl_evolve.runs.chunk import Chunk, TrainState, Update, make_chunk, make_update
from jaxrl_evolve.runs.rollout import rollout
from jaxrl_evolve.runs.tasks import Assignment
from jaxrl_evolve.trajectory import Trajectory

if TYPE_CHECKING:
    from jaxrl_evolve.meta.config import MetaTrainConfig

_TABLE_CRITIC_RATE, _NETWORK_CRITIC_RATE = 0.05, 1e-3


@struct.dataclass
class GradientLife:
    """One agent in the middle of its life.

    Attributes:
        train: the agent and its environments.
        params: its task.
        horizon: updates in a whole life, which its clock shows; int32.
        retire: updates after which it gives way to another; int32. Less than the horizon for the first lives, so
            that not all are of one age for ever.
        critic: parameters of the baseline.
        critic_optimiser: its Adam state.
        number: of its level in the buffer, or `runs.tasks.NEW`; ``()`` where levels are not curated.
    """

    train: TrainState
    params: Any
    horizon: Int[Array, ""]
    retire: Int[Array, ""]
    critic: Any
    critic_optimiser: Any
    number: Any = ()


class LifeParts(NamedTuple):
    """What lives are made of; nothing of it is traced.

    Attributes:
        config: of the meta-training.
        experiment: what it means.
        chunk: makes the agents.
        update: one update of an agent, of which only what it reads is kept for the backward pass.
        critic: the network of the baselines.
        critic_rate: their step size.
        curated: how levels are curated, or None.
    """

    config: MetaTrainConfig[Any, Any, Any]
    experiment: MetaExperiment
    chunk: Chunk
    update: Update
    critic: Network
    critic_rate: float
    curated: Curation | None


def life_parts(config: MetaTrainConfig[Any, Any, Any], experiment: MetaExperiment) -> LifeParts:
    """Make the parts.

    Raises:
        ValueError: lives can be shorter than one meta-update, the agents have memory, or levels cannot be curated.
    """
    env, learner, c = experiment.env, experiment.learner, config.gradient
    least, network = config.horizons.range[0], config.learner.network
    if least < c.inner_updates:
        raise ValueError(
            f"horizons.low is {least}; a meta-gradient through {c.inner_updates} updates needs lives of at least "
            "as many"
        )
    if network.memory != "none":
        raise ValueError(
            f"learner.network.memory is {network.memory!r}; meta-gradients take feed-forward agents"
        )
    rate = _TABLE_CRITIC_RATE if network.encoder == "tabular" else _NETWORK_CRITIC_RATE
    # Only what an update reads is kept for the backward pass; what it computes is computed again.
    frugal = learner._replace(update=jax.checkpoint(learner.update, prevent_cse=False))
    return LifeParts(
        config,
        experiment,
        make_chunk(learner, experiment.venv, config.rollout_length),
        make_update(frugal, experiment.venv, config.rollout_length),
        make_network(network, env.observation_space, env.action_space),
        c.critic_learning_rate or rate,
        curation(config, experiment),
    )


def new_task(parts: LifeParts, key: Array, progress: Array) -> Task:
    """The task that the life of ``key`` has if nobody gives it another.

    Args:
        parts: what lives are made of.
        key: of the life.
        progress: fraction of meta-training that is over.
    """
    key_task, _, key_horizon, _, _ = _keys(key)
    env = parts.experiment.env
    params = env.params if env.sample_params is None else env.sample_params(key_task)
    return Task(params, sample_horizons(parts.config.horizons, key_horizon, 1, progress)[0])


def new_life(parts: LifeParts, key: Array, hp: Any, given: Assignment, staggered: bool) -> GradientLife:
    """A life before its first update.

    Args:
        parts: what it is made of.
        key: its randomness.
        hp: hyperparameters.
        given: its number and `Task`.
        staggered: whether it ends at a random age.
    """
    _, key_agent, _, key_age, key_critic = _keys(key)
    task: Task = given.params
    retire = task.horizon
    if staggered:
        least = parts.config.gradient.inner_updates
        retire = jax.random.randint(key_age, (), least, task.horizon + 1, jnp.int32)
    critic = parts.critic.init(key_critic)
    return GradientLife(
        parts.chunk.init(key_agent, hp, task.params),
        task.params,
        task.horizon,
        retire,
        critic,
        init_optimiser("adam", ravel_pytree(critic)[0]),
        given.number,
    )


def _keys(key: Array) -> Array:
    """Of a life: task, agent, horizon, age and critic."""
    return jax.random.split(key, 5)


def lived(
    parts: LifeParts, eta: Any, life: GradientLife, hp: Any
) -> tuple[Any, GradientLife, dict[str, Array]]:
    """One life's meta-gradient, the life after it, and facts: metrics, whether it failed, whether it is over."""
    gradient, (life, facts) = jax.grad(partial(_meta_loss, parts), has_aux=True)(eta, life, hp)
    flat, unravel = ravel_pytree(gradient)
    fine = jnp.isfinite(flat).all() & (life.train.diverged < 0)
    gradient = unravel(jnp.where(fine, flat, 0.0))
    over = ~fine | (life.train.updates + parts.config.gradient.inner_updates > life.retire)
    return gradient, life, {**facts, "failed": (~fine).astype(jnp.float32), "over": over}


def _meta_loss(
    parts: LifeParts, eta: Any, life: GradientLife, hp: Any
) -> tuple[Array, tuple[GradientLife, dict[str, Array]]]:
    """What is minimised: the loss of the policy that comes of a few updates by ``eta``."""
    c, experiment = parts.config.gradient, parts.experiment
    horizon = life.horizon.astype(jnp.float32)

    def inner(state: TrainState, _: Any) -> tuple[TrainState, dict[str, Array]]:
        return parts.update(state, hp, eta, life.params, horizon)[:2]

    state, metrics = jax.lax.scan(inner, life.train, None, c.inner_updates)
    metrics = {name: values.mean() for name, values in metrics.items()}
    key, key_test = jax.random.split(state.key)
    acting = (key_test, experiment.learner, state.learner, experiment.venv, state.envs, state.memory)
    envs, memory, t, ended = rollout(*acting, life.params, parts.config.rollout_length)
    log_prob, t = t.policy.log_prob, jax.lax.stop_gradient(t)
    life, advantage, critic_loss = _with_better_critic(parts, life, t)
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


def _with_better_critic(
    parts: LifeParts, life: GradientLife, t: Trajectory
) -> tuple[GradientLife, Array, Array]:
    """The life with its critic improved, advantages by the critic before that, and the first loss."""
    c, value_of = parts.config.gradient, parts.critic.value

    def estimates(params: Any) -> tuple[Array, Array, Array]:
        value, after = value_of(params, t.obs, ()), value_of(params, t.next_obs, ())
        return value, *gae(t.reward, value, after, t.terminated, t.ended, c.gamma, c.gae_lambda)

    _, advantage, target = estimates(life.critic)

    def loss(params: Any) -> Array:
        return 0.5 * jnp.square(value_of(params, t.obs, ()) - target).mean()

    def step(carry: Any, _: Any) -> Any:
        params, optimiser = carry
        error, gradient = jax.value_and_grad(loss)(params)
        flat, unravel = ravel_pytree(gradient)
        move, _, optimiser = clipped_step("adam", optimiser, flat, parts.critic_rate, jnp.inf, 1e-8)
        return (jax.tree.map(jnp.add, params, unravel(move)), optimiser), error

    start = (life.critic, life.critic_optimiser)
    (params, optimiser), errors = jax.lax.scan(step, start, None, c.critic_epochs)
    return replace(life, critic=params, critic_optimiser=optimiser), advantage, errors[0]
