"""GROOVE: levels drawn by algorithmic regret (Jackson et al. 2023, arXiv 2310.02782, section 3).

A level is a task together with a lifetime. Its score is how much better an A2C agent ends than the agents of the
objective after equally many updates there. Levels on which there is something left to learn come again.

The regret of a level costs a whole life of an antagonist. It is computed when an agent has finished its life,
for no other agent. The choice of levels is that of any level replay (`curricula.level_replay`); here is what is
peculiar to lives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.algorithms.table import find_algorithm
from jaxrl_evolve.curricula.level_buffer import LevelBuffer
from jaxrl_evolve.curricula.level_replay import Scored, level_replay, shapes
from jaxrl_evolve.meta.experiment import MetaExperiment
from jaxrl_evolve.meta.groove_config import AntagonistConfig
from jaxrl_evolve.meta.lifetimes import Lives, make_lifetime
from jaxrl_evolve.runs.chunk import make_chunk
from jaxrl_evolve.runs.evaluation import make_evaluation
from jaxrl_evolve.runs.tasks import NEW, Assignment, Curriculum, Openings
from jaxrl_evolve.training.experiment import traced

if TYPE_CHECKING:
    from jaxrl_evolve.meta.config import MetaTrainConfig

_TABLE_RATE, _NETWORK_RATE = 0.1, 1e-3


@struct.dataclass
class Task:
    """One level, or many with leading axes.

    Attributes:
        params: parameters of the environment.
        horizon: updates of a life, int32.
    """

    params: Any
    horizon: Int[Array, ...]


class Antagonist(NamedTuple):
    """An A2C agent.

    Attributes:
        live: its life, ``(key, (), hp, env_params, updates) -> (final return, metrics)``; the return is NaN if it
            diverged.
        hp: its hyperparameters.
    """

    live: Callable[..., tuple[Array, dict[str, Array]]]
    hp: Any


class Curation(NamedTuple):
    """Functions of a meta-training whose levels are curated.

    Attributes:
        antagonist: whom agents are compared with.
        curriculum: gives lives that begin their `Task`, and is told of them as `Scored`; its state is a `LevelBuffer`.
        regrets: see `regrets_of_finished`; ``(keys, learners, params, updates, finished) -> ...``.
    """

    antagonist: Antagonist
    curriculum: Curriculum
    regrets: Callable[..., tuple[Array, Array]]


def curation(config: MetaTrainConfig[Any, Any, Any], experiment: MetaExperiment) -> Curation | None:
    """What the levels' settings ask for; None where levels are always new.

    Args:
        config: of the meta-training.
        experiment: what it means.

    Raises:
        ValueError: there is one level only.
    """
    c, env, fitness = config.levels, experiment.env, config.fitness
    if not c.curated:
        return None
    if env.sample_params is None:
        raise ValueError(
            f"levels.kind is 'groove', but {config.env} is one level only; it must be 'uniform', or the environment "
            "a family of levels, such as grid/random-small"
        )
    antagonist = make_antagonist(config, experiment, c.antagonist)
    evaluate = make_evaluation(env, experiment.learner, fitness.episodes, fitness.max_steps, "sample")

    def regret(key: Array, learner: Any, params: Any, updates: Array) -> Array:
        """Of one agent; both are tested with the same random numbers."""
        key_test = jax.random.split(key)[1]
        earned = evaluate(key_test, learner, params).returns.mean()
        return antagonist.live(key, (), antagonist.hp, params, updates)[0] - earned

    example = shapes(Task(env.params, jnp.zeros((), jnp.int32)))
    curriculum = level_replay(c.buffer, example, score=lambda scored: scored)
    return Curation(antagonist, curriculum, partial(regrets_of_finished, regret, c.antagonist.lanes))


def make_antagonist(
    config: MetaTrainConfig[Any, Any, Any], experiment: MetaExperiment, settings: AntagonistConfig
) -> Antagonist:
    """An A2C agent in the place of an objective's.

    Args:
        config: for the sizes of batch and network.
        experiment: what it means.
        settings: its own.
    """
    env, size, length = experiment.env, config.num_envs, config.rollout_length
    algorithm = find_algorithm("a2c")
    own = replace(
        config.learner, epochs=1, minibatches=1, optimiser="adam", normalise_advantage=True, clip_value=False
    )
    rate = settings.learning_rate or (_TABLE_RATE if own.network.encoder == "tabular" else _NETWORK_RATE)
    hp = algorithm.hp(
        learning_rate=rate,
        learning_rate_end=1.0,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        entropy_coef=settings.entropy_coef,
    )
    learner = algorithm.make(env, size, length, own, hp, None)
    chunk = make_chunk(learner, experiment.venv, length)
    return Antagonist(make_lifetime(env, learner, chunk, replace(config.fitness, average=0.0)), traced(hp))


def deal(curated: Curation | None, key: Array, buffer: Any, openings: Openings) -> tuple[Any, Assignment]:
    """The tasks of lives that begin: the curriculum's, or as they were drawn.

    Args:
        curated: how levels are curated, if they are.
        key: randomness of the curriculum.
        buffer: its state.
        openings: what would be lived through without one, who begins a life, and what is being lived through.
    """
    if curated is None:
        return buffer, Assignment(openings.playing, openings.drawn)
    return curated.curriculum.propose(key, buffer, openings)


def regrets_of_finished(
    regret: Callable[..., Array],
    lanes: int,
    keys: Array,
    learners: Any,
    params: Any,
    updates: Int[Array, " n"],
    finished: Bool[Array, " n"],
) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """Regrets of the agents that have finished, and the updates that their antagonists made for it.

    Finished agents come first in a loop that ends with the last of them, so others cost nothing.

    Args:
        regret: of one agent, ``(key, learner, params, updates) -> float32``.
        lanes: agents side by side; a last group of fewer is filled up with antagonists that make no updates.
        keys: one per agent.
        learners: states of the agents.
        params: their environments.
        updates: how many they have made.
        finished: whom to compute it for; the others' is NaN.
    """
    agents = finished.size
    order = jnp.argsort(jnp.where(finished, -updates, 1))  # the longest first, so that groups are alike
    count = finished.sum()

    def group(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        regrets, spent = carry
        turn = i * lanes + jnp.arange(lanes)
        at = order[jnp.minimum(turn, agents - 1)]
        lengths = jnp.where(turn < count, updates[at], 0)
        own = jax.vmap(regret)(keys[at], *jax.tree.map(lambda x: x[at], (learners, params)), lengths)
        into = jnp.where(turn < count, at, agents)
        return regrets.at[into].set(own, mode="drop"), spent + lengths.sum().astype(jnp.float32)

    start = (jnp.full((agents,), jnp.nan, jnp.float32), jnp.zeros((), jnp.float32))
    return jax.lax.fori_loop(0, (count + lanes - 1) // lanes, group, start)


def regrets_of_pairs(lives: Lives, antagonists: Lives) -> Float[Array, " pairs"]:
    """The antagonists' final returns less the means of the pairs'; members that diverged are left out.

    Args:
        lives: of the members.
        antagonists: one per pair, second axis 1; their fitness is the final return.
    """
    earned, fine = lives.metrics["final_return"], jnp.isfinite(lives.fitness)
    return antagonists.fitness[:, 0] - jnp.where(fine, earned, 0.0).sum(1) / fine.sum(1)


def record(
    curated: Curation, buffer: LevelBuffer, scored: Scored
) -> tuple[LevelBuffer, dict[str, Float[Array, ""]]]:
    """The buffer after the scores of a generation, and metrics.

    Args:
        curated: how levels are curated.
        buffer: before.
        scored: levels that were lived on, with their regrets.
    """
    buffer = curated.curriculum.record(buffer, scored)
    counted, filled = scored.valid & jnp.isfinite(scored.score), buffer.filled
    metrics = {
        "regret": jnp.where(counted, scored.score, 0.0).sum() / counted.sum(),
        "replayed": (scored.levels.number != NEW).mean(),
        "buffer_horizon": jnp.where(filled, buffer.levels.horizon, 0).sum() / filled.sum(),
        **curated.curriculum.metrics(buffer),
    }
    return buffer, {name: x.astype(jnp.float32) for name, x in metrics.items()}
