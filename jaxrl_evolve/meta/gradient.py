"""Meta-gradients: an objective improves by differentiating agents' returns through their own updates.

Every agent of a set makes a few updates by the objective, and what its policy then earns is differentiated
with respect to the objective's parameters (Xu et al. 2018, arXiv 1805.09801; for LPG, Oh et al. 2020, section
3.3). What the agents did is held constant, so the estimate leaves out how later data depend on earlier
parameters, as usual. A single life is in `meta.gradient_life`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import struct
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Int

from jaxrl_envs.vector import choose
from jaxrl_evolve.curricula.level_replay import Scored
from jaxrl_evolve.learners.optimiser import clipped_step, init_optimiser, norm
from jaxrl_evolve.meta.experiment import MetaExperiment, MetaPrograms, lanes_of
from jaxrl_evolve.meta.generation import finite_mean
from jaxrl_evolve.meta.gradient_life import GradientLife, LifeParts, life_parts, lived, new_life, new_task
from jaxrl_evolve.meta.groove import Task, deal, record
from jaxrl_evolve.meta.lifetimes import EVALUATED, PAIRS
from jaxrl_evolve.random import KeyTag
from jaxrl_evolve.runs.tasks import NEW, Assignment, Openings

if TYPE_CHECKING:
    from jaxrl_evolve.meta.config import MetaTrainConfig


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
    lives: GradientLife
    generation: Int[Array, ""]
    key: Array
    levels: Any = ()


def gradient_programs(
    config: MetaTrainConfig[Any, Any, Any], experiment: MetaExperiment, mesh: Mesh | None = None
) -> MetaPrograms:
    """The functions of a meta-training by meta-gradients.

    Args:
        config: its configuration.
        experiment: what it means.
        mesh: one-axis mesh (named `PAIRS`) over which lives are split; its size must divide their number.

    Raises:
        ValueError: lives can be shorter than one meta-update, or the agents have memory.
    """
    parts = life_parts(config, experiment)
    lives = config.gradient.lifetimes // (1 if mesh is None else mesh.size)
    everyone = partial(_all_lives, parts, _divisor(lives, lanes_of(config, 1)), mesh)
    if mesh is not None:
        split, whole = PartitionSpec(PAIRS), PartitionSpec()
        everyone = jax.shard_map(
            everyone,
            mesh=mesh,
            in_specs=(whole, split, split, split, split, whole),
            out_specs=(whole, split, split, whole),
            check_vma=False,
        )
    return MetaPrograms(partial(_init, parts), partial(_generation, parts, everyone), split=("lives",))


def _init(parts: LifeParts, key: Array, hp: Any) -> GradientState:
    count, curated = parts.config.gradient.lifetimes, parts.curated
    key, key_start, key_lives = jax.random.split(key, 3)
    eta = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), parts.experiment.start(key_start))
    keys = jax.random.split(key_lives, count)
    numbers: Any = jnp.full((count,), NEW, jnp.int32) if curated else ()
    first = Assignment(numbers, _new_tasks(parts, keys, jnp.float32(0.0)))
    lives = jax.vmap(lambda key, given: new_life(parts, key, hp, given, True))(keys, first)
    optimiser = init_optimiser("adam", ravel_pytree(eta)[0])
    buffer = curated.curriculum.init(jax.random.fold_in(key, KeyTag.TASKS)) if curated else ()
    return GradientState(eta, optimiser, lives, jnp.zeros((), jnp.int32), key, buffer)


def _generation(
    parts: LifeParts, everyone: Any, state: GradientState, hp: Any
) -> tuple[GradientState, dict[str, Array]]:
    """One meta-update."""
    config, c = parts.config, parts.config.gradient
    key, key_lives, key_levels, key_judges = jax.random.split(state.key, 4)
    progress = state.generation.astype(jnp.float32) / max(config.generations - 1, 1)
    keys = jax.random.split(key_lives, c.lifetimes)
    judges, before = jax.random.split(key_judges, c.lifetimes), state.lives
    # Before lives are split over devices, because levels are dealt out among all of them.
    ending = before.train.updates + 2 * c.inner_updates > before.retire
    openings = Openings(_new_tasks(parts, keys, progress), ending, before.number)
    buffer, given = deal(parts.curated, key_levels, state.levels, openings)
    total, lives, facts, spent = everyone(state.eta, before, keys, given, judges, hp)
    flat, unravel = ravel_pytree(total)
    failed, _ = facts.pop("failed").sum(), facts.pop("over")
    levels_facts = {}
    if parts.curated:
        lived_on = Assignment(before.number, Task(before.params, before.horizon))
        scored = Scored(lived_on, facts.pop("regret"), facts.pop("finished"))
        buffer, levels_facts = record(parts.curated, buffer, scored)
        levels_facts["antagonist_updates"] = spent
    mean = flat / jnp.maximum(c.lifetimes - failed, 1.0)
    move, size, optimiser = clipped_step("adam", state.optimiser, mean, c.learning_rate, c.max_norm, 1e-8)
    eta = jax.tree.map(jnp.add, state.eta, unravel(move))
    # A life that failed, whose numbers are none, is counted by `failed` and spoils no mean.
    returns, episodes = facts.pop("returns"), facts.pop("episodes")
    fine = jnp.isfinite(returns)
    returns, episodes = (jnp.where(fine, x, 0.0).sum() for x in (returns, episodes))
    metrics = {name: finite_mean(values) for name, values in facts.items()}
    metrics |= {
        "fitness": returns / episodes,
        "failed": failed,
        "updates": c.lifetimes * c.inner_updates + spent,
        EVALUATED: jnp.float32(c.lifetimes * config.steps_per_update),  # the rollouts that judge the policies
        "gradient_norm": size,
        "step_norm": norm(move),
        "parameter_norm": norm(ravel_pytree(eta)[0]),
        **levels_facts,
    }
    return GradientState(eta, optimiser, lives, state.generation + 1, key, buffer), metrics


def _all_lives(
    parts: LifeParts,
    lanes: int,
    mesh: Mesh | None,
    eta: Any,
    lives: GradientLife,
    keys: Array,
    given: Assignment,
    judges: Array,
    hp: Any,
) -> tuple[Any, GradientLife, dict[str, Array], Array]:
    """Summed gradients of all devices' lives, this device's lives after it with their facts, and the updates that
    all antagonists made.

    Args:
        parts: what lives are made of.
        lanes: lives side by side.
        mesh: devices over which lives are split.
        eta: parameters of the objective.
        lives: of this device, as are ``keys``, ``given`` and ``judges``.
        keys: of those that take the place of lives that are over.
        given: tasks of those.
        judges: randomness of antagonists.
        hp: hyperparameters.
    """

    def group(total: Any, own: GradientLife) -> Any:
        gradients, after, facts = jax.vmap(partial(lived, parts), (None, 0, None))(eta, own, hp)
        return jax.tree.map(lambda t, g: t + g.sum(0), total, gradients), (after, facts)

    grouped = jax.tree.map(lambda x: x.reshape((-1, lanes, *x.shape[1:])), lives)
    start = jax.tree.map(jnp.zeros_like, eta)
    total, outcome = jax.lax.scan(group, start, grouped)
    lives, facts = jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), outcome)
    spent = jnp.zeros((), jnp.float32)
    if parts.curated:
        finished = facts["over"] & (facts["failed"] == 0) & (lives.retire == lives.horizon)
        train = lives.train
        regrets, spent = parts.curated.regrets(judges, train.learner, lives.params, train.updates, finished)
        facts |= {"regret": regrets, "finished": finished}
    fresh = jax.vmap(lambda key, given: new_life(parts, key, hp, given, False))(keys, given)
    lives = choose(facts["over"], fresh, lives)
    if mesh is not None:
        total, spent = jax.lax.psum((total, spent), PAIRS)
    return total, lives, facts, spent


def _new_tasks(parts: LifeParts, keys: Array, progress: Array) -> Task:
    return jax.vmap(partial(new_task, parts), (0, None))(keys, progress)


def _divisor(count: int, wanted: int) -> int:
    """The largest divisor of ``count`` up to ``wanted``; ``count`` itself where ``wanted`` is 0."""
    return max(d for d in range(1, count + 1) if count % d == 0 and (not wanted or d <= wanted))
