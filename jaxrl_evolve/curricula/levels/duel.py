"""Two students and an adversary (Dennis et al. 2020, arXiv 2012.02096): who builds levels is paid the regret of the one by the other.

The protagonist is the learner of the run. The antagonist is another of the same kind, with a state of its own, and so is not in the run
but here. The adversary is a PPO agent whose episodes are levels. Both states are part of the curriculum's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from jaxrl_envs.contract import Builder, Env
from jaxrl_evolve.curricula.levels.building import build, paid
from jaxrl_evolve.curricula.statistics import ends
from jaxrl_evolve.learners.learner import Learner, traced
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.runs.guard import kept, sound
from jaxrl_evolve.runs.lived import Lived, Terms, lived_by
from jaxrl_evolve.runs.scouting import from_the_start
from jaxrl_evolve.runs.tasks import Assignment
from jaxrl_evolve.runs.whole_episodes import surely_whole
from jaxrl_evolve.settings.checks import AtLeast, Between, NotEmpty, check
from jaxrl_evolve.settings.names import suggestion


@dataclasses.dataclass(frozen=True)
class DuelOptions:
    """Settings of an adversary, numbers by minimax (arXiv 2311.12716)."""

    regret: Literal["max", "mean"] = "max"
    """Which of the antagonist's returns on a level the protagonist's mean is compared with."""
    clipped: bool = True
    """Whether a regret below 0 counts as 0."""
    learning_rate: Annotated[float, AtLeast(0.0)] = 1e-4
    """Step size of the adversary."""
    entropy_coef: Annotated[float, AtLeast(0.0)] = 0.05
    """Weight of its entropy bonus."""
    gamma: Annotated[float, Between(0.0, 1.0)] = 0.995
    """Its discount factor."""
    gae_lambda: Annotated[float, Between(0.0, 1.0)] = 0.98
    """Trace parameter of its advantages."""
    epochs: Annotated[int, AtLeast(1)] = 5
    """Its passes over its episodes, each one gradient step."""
    hidden: Annotated[tuple[int, ...], NotEmpty(), AtLeast(1)] = (128, 128)
    """Widths of its hidden layers."""

    def __post_init__(self) -> None:
        check(self)


DUEL = tuple(field.name for field in dataclasses.fields(DuelOptions))
"""Options of an adversary."""


def duel_options(name: str, given: Mapping[str, Any], others: tuple[str, ...] = ()) -> DuelOptions:
    """The adversary's options among those of a method.

    Args:
        name: of the method, for messages.
        given: what was asked for.
        others: what the method takes besides.

    Raises:
        ValueError: an option is not known, with near matches, or has a value that is not allowed.
    """
    for option in given:
        if option not in (*DUEL, *others):
            raise ValueError(
                f"curriculum_options has {option!r}, which {name} does not take: "
                f"{suggestion(option, (*DUEL, *others), 'it takes')}"
            )
    return DuelOptions(**{option: value for option, value in given.items() if option in DUEL})


def require_builder(name: str, env: Env) -> Builder:
    """How levels of an environment are built.

    Raises:
        ValueError: nobody says.
    """
    if env.builder is None:
        raise ValueError(
            f"curriculum is {name!r}, whose adversary builds levels, but {env.name} has no `builder`; it must be one that has, "
            "such as maze/random"
        )
    return env.builder


class Duel(NamedTuple):
    """What the functions here read, all static.

    Attributes:
        env: a family of levels.
        builder: of them.
        count: slots, and levels built in an update, ``n``.
        steps: of a rollout.
        student: what protagonist and antagonist are.
        adversary: who builds.
        options: settings.
    """

    env: Env
    builder: Builder
    count: int
    steps: int
    student: Learner
    adversary: Learner
    options: DuelOptions


@struct.dataclass
class DuelState:
    """Who takes part, and what is not done yet of an update.

    Attributes:
        antagonist: state of a student.
        adversary: its state.
        key: randomness of the update.
        actions: ``[builder.steps, n, ...]``, by which its levels were built.
        regret: float32 ``[3]``, of the last update, means over levels: the regret, and what protagonist and antagonist got.
    """

    antagonist: Any
    adversary: Any
    key: Array
    actions: Any
    regret: Float[Array, 3]


class Keys(NamedTuple):
    """Randomness of one update, for each that needs some."""

    building: Array
    draws: Array
    rival_draws: Array
    resets: Array
    acting: Array
    scout_resets: Array
    scout_acting: Array
    antagonist: Array
    adversary: Array


def keys_of(key: Array) -> Keys:
    """The keys that an update's key stands for."""
    return Keys(*jax.random.split(key, len(Keys._fields)))


def duel_for(
    name: str, env: Env, count: int, options: DuelOptions, learner: Learner, rollout_length: int
) -> Duel:
    """A duel beside a learner.

    Raises:
        ValueError: the learner keeps a store, of which its antagonist would need one, too.
    """
    if learner.store is not None:
        raise ValueError(
            f"curriculum is {name!r}, whose antagonist is like the learner, but learner {learner.name!r} learns from a store of "
            "experience; it must be one without, such as ppo"
        )
    builder = require_builder(name, env)
    config = PPOConfig(epochs=options.epochs, minibatches=1, network=NetworkConfig(hidden=options.hidden))
    hp = PPOHyperparameters(
        learning_rate=options.learning_rate,
        learning_rate_end=1.0,
        gamma=options.gamma,
        gae_lambda=options.gae_lambda,
        entropy_coef=options.entropy_coef,
    )
    adversary = ppo(builder.editor, count, builder.steps, config, hp)
    return Duel(env, builder, count, rollout_length, learner, adversary, options)


def opened(duel: Duel, key: Array) -> DuelState:
    """The state before the first update."""
    key_antagonist, key_adversary = jax.random.split(key)
    space = duel.builder.editor.action_space
    return DuelState(
        duel.student.init(key_antagonist, traced(duel.student.default_hp)),
        duel.adversary.init(key_adversary, traced(duel.adversary.default_hp)),
        key,
        jnp.zeros((duel.builder.steps, duel.count, *space.shape), space.dtype),
        jnp.zeros((3,), jnp.float32),
    )


def built(duel: Duel, key: Array, state: DuelState) -> tuple[DuelState, Any]:
    """An update begins: the adversary's levels, leaves ``[n, ...]``."""
    made = build(keys_of(key).building, duel.builder, duel.adversary, state.adversary, duel.count)
    return replace(state, key=key, actions=made.episodes.action), made.levels


def rival(duel: Duel, keys: tuple[Array, Array], state: DuelState, given: Assignment, terms: Terms) -> Lived:
    """What the antagonist gets on levels, and sees of them.

    Args:
        duel: the duel.
        keys: randomness of resets, and of all else.
        state: of the duel, not changed here.
        given: the levels.
        terms: of the update.
    """
    played = from_the_start(keys, duel.student, state.antagonist, duel.env, given, duel.steps)
    counted = surely_whole(duel.env, given.params, played.trajectory)
    return lived_by(duel.student, state.antagonist, terms, given, played, {}, counted)


def schooled(duel: Duel, state: DuelState, seen: Lived, terms: Terms) -> DuelState:
    """The antagonist has learned from what it saw, on the terms of the protagonist."""
    update: Any = duel.student.update
    key, before = keys_of(state.key).antagonist, state.antagonist
    after, metrics = update(key, before, seen.played.trajectory, *terms)
    return replace(state, antagonist=kept(sound(metrics["loss"], after), after, before))


def judged(
    duel: Duel,
    state: DuelState,
    protagonist: Float[Array, " n"],
    antagonist: Float[Array, " n"],
    terms: Terms,
) -> DuelState:
    """The adversary has learned what its levels were worth.

    Args:
        duel: the duel.
        state: of the update in which the levels were built.
        protagonist: its mean returns on them.
        antagonist: its returns.
        terms: of the update.
    """
    worth = regret_of(protagonist, antagonist, duel.options.clipped)
    keys, learner, before = keys_of(state.key), duel.adversary, state.adversary
    episodes = build(keys.building, duel.builder, learner, before, duel.count, state.actions).episodes
    update: Any = learner.update
    eta = learner.init_objective(keys.adversary)
    facts = (paid(episodes, worth), traced(learner.default_hp), eta, terms.clock)
    after, metrics = update(keys.adversary, before, *facts)
    told = jnp.stack([jnp.where(jnp.isfinite(x), x, 0.0).mean() for x in (worth, protagonist, antagonist)])
    return replace(state, adversary=kept(sound(metrics["loss"], after), after, before), regret=told)


def returns_on(lived: Lived, which: Literal["max", "mean"]) -> Float[Array, " n"]:
    """The mean return on the level of every slot of the episodes that count, or the highest of all that ended; where there is none, what the
    running one has so far.
    """
    over, returns = ends(lived, every=which == "max"), lived.played.episode_return
    assert returns is not None
    if which == "max":
        found = jnp.where(over, returns, -jnp.inf).max(0)
    else:
        found = jnp.where(over, returns, 0.0).sum(0) / jnp.maximum(over.sum(0), 1)
    return jnp.where(over.any(0), found, returns[-1])


def regret_of(
    protagonist: Float[Array, " n"], antagonist: Float[Array, " n"], clipped: bool
) -> Float[Array, " n"]:
    """By how much the antagonist did better; 0 where one of the two is no finite number.

    Args:
        protagonist: its returns, by level.
        antagonist: likewise.
        clipped: whether less than 0 counts as 0.
    """
    worth = antagonist - protagonist
    worth = jnp.where(jnp.isfinite(worth), worth, 0.0)
    return jnp.maximum(worth, 0.0) if clipped else worth


def duel_metrics(state: DuelState) -> dict[str, Array]:
    """The mean regret of the last levels, and what the two students got there."""
    names = ("regret", "protagonist_return", "antagonist_return")
    return {name: state.regret[i] for i, name in enumerate(names)}
