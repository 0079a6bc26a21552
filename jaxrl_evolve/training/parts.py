"""The parts of a run that others may have written, by name: made, and refused in one sentence where they do not fit."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxrl_envs.check import check_types
from jaxrl_envs.contract import Arms, Env
from jaxrl_envs.registry import UnknownEnv, find_factory, finished, recorded
from jaxrl_envs.wrappers.named import wrapped
from jaxrl_evolve import random
from jaxrl_evolve.algorithms.algorithm import Algorithm
from jaxrl_evolve.compilation import Same, kept, once
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.networks.decoder_config import require_context
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.objectives import AnyObjective
from jaxrl_evolve.objectives.check import watched
from jaxrl_evolve.runs.check import check_learner
from jaxrl_evolve.runs.tasks import Curriculum
from jaxrl_evolve.runs.whole_episodes import most_steps
from jaxrl_evolve.settings.foreign import Refused, called, told
from jaxrl_evolve.settings.names import UnknownName
from jaxrl_evolve.storage.folder import plain


def make_env(name: str, options: Mapping[str, Any]) -> Env:
    """The environment called ``name``, once it is known to keep the part of the contract that needs no numbers.

    The same one each time, as long as the name means the same and the process keeps it (see `kept`): adapters trace what
    they adapt.

    Args:
        name: its name.
        options: its own, as values or as text.

    Raises:
        ValueError: there is none, it does not take the options, its factory fails, or it breaks the contract.
        ImportError: what it needs is not installed.
    """
    options = recorded(name, options)  # what is kept is known by what a file holds, not by its name
    choices = {key: literal(text) for key, text in options.items()}
    try:
        asked = repr(choices), json.dumps(plain(options))
    except TypeError as error:
        raise ValueError(f"env_options is {dict(options)}, which a run cannot record: {error}") from None
    try:
        factory = called(
            f"environment {name!r}: its entry point", find_factory, name, saying=(ValueError, ImportError)
        )
    except UnknownEnv as error:
        raise UnknownName(str(error), "env", name) from None
    # Arrays are made at jax's precision of numbers.
    wide = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    return kept("env", (name, Same(factory), *asked, wide), lambda: _made_env(name, factory, choices))


def _made_env(name: str, factory: Callable[..., Any], choices: dict[str, Any]) -> Env:
    wrappers = choices.pop("wrappers", "")
    make = lambda: factory(**choices)
    saying = (ValueError, ImportError, *((TypeError,) if choices else ()))
    try:
        env = called(f"environment {name!r}: its factory", make, saying=saying)
    except TypeError as error:
        raise ValueError(f"env_options is {choices}, which {name} does not take: {error}") from None
    if not isinstance(env, Env):
        raise Refused(f"environment {name!r}: its factory gave {told(env)}; it must be a jaxrl_envs.Env")
    what = f"environment {name!r}: its wrappers"
    whole = env if wrappers == "" else called(what, wrapped, env, wrappers, saying=(ValueError,))
    # What is learned in has to keep the contract: of nested observations or actions a wrapper makes it so.
    once(("environment", Same(factory), repr(choices), repr(wrappers)), lambda: check_types(whole))
    return finished(name, whole)


def make_learner(name: str, algorithm: Algorithm, arguments: tuple[Any, ...]) -> Learner:
    """What the algorithm called ``name`` makes of the arguments of `Algorithm.make`.

    Raises:
        ValueError: something in them can't be served, or the factory fails.
    """
    what = f"algorithm {name!r}: its factory"
    learner = called(what, lambda: algorithm.make(*arguments), saying=(ValueError,))
    if not isinstance(learner, Learner):
        raise Refused(f"{what} gave {told(learner)}; it must be a Learner")
    return learner


def check_objective(
    algorithm: str,
    objective: AnyObjective,
    make: Callable[[AnyObjective], Learner],
    env: Env,
    num_envs: int,
    rollout_length: int,
) -> None:
    """Evaluate a learner with its objective abstractly, see `check_learner`.

    Args:
        algorithm: the algorithm's name.
        objective: what it is to minimise.
        make: the learner of an objective.
        env: that it learns in.
        num_envs: parallel environments.
        rollout_length: steps per update.

    Raises:
        ValueError: one of the two fails or gives what it must not, or the learner does not read the objective.
    """
    look, seen = watched(objective)
    check_learner(make(look), env, num_envs, rollout_length)
    if not seen:
        raise ValueError(
            f"objective is {objective.name!r}, which algorithm {algorithm!r} does not read: leave it out, or take an "
            "algorithm that minimises one, such as ppo"
        )


def check_network(algorithm: str, settings: Any, learner: Learner, make: Callable[[Any], Learner]) -> None:
    """Refuse settings of the network that a learner does not read: the run would be recorded as what it is not.

    Args:
        algorithm: the algorithm's name.
        settings: its static settings.
        learner: made with them.
        make: the learner of other settings.

    Raises:
        ValueError: a memory or a kind of network is asked for, and there is none of it.
    """
    network = getattr(settings, "network", None)
    if not isinstance(network, NetworkConfig):
        return
    unread = f"which algorithm {algorithm!r} does not read"
    if network.memory != "none" and not jax.tree.leaves(learner.initial_memory(1)):
        raise ValueError(f"learner.network.memory is {network.memory!r}, {unread}; it must be 'none'")
    if network.kind == "actor-critic":
        return
    try:  # whoever is content with a network that does not exist does not look for it
        make(dataclasses.replace(settings, network=dataclasses.replace(network, kind="there is none")))
    except ValueError:
        return
    raise ValueError(f"learner.network.kind is {network.kind!r}, {unread}; it must be 'actor-critic'")


def check_context(settings: Any, env: Env, arms: Arms | None) -> None:
    """Refuse a decoder whose context is shorter than an episode of the task, where the environment knows how long one can be.

    Args:
        settings: of the learner.
        env: whose own parameters are played, unless there are arms.
        arms: those that are played.

    Raises:
        ValueError: episodes are longer.
    """
    network = getattr(settings, "network", None)
    if not isinstance(network, NetworkConfig) or network.kind != "decoder":
        return
    most, of = _longest(env, arms)
    require_context(
        network.decoder, most, f"the steps of the longest episode of {of}", "learner.network.decoder.context"
    )


def check_rollout(learner: Learner, env: Env, rollout_length: int, arms: Arms | None) -> None:
    """Refuse rollouts in which no longest episode of some arm ends, where only whole ones are learned from.

    Args:
        learner: who learns.
        env: whose own parameters are played, unless there are arms.
        rollout_length: steps of a rollout.
        arms: those that are played.

    Raises:
        ValueError: episodes are longer.
    """
    most, of = _longest(env, arms)
    if learner.whole and rollout_length < most:
        raise ValueError(
            f"rollout_length is {rollout_length}; it must be at least {most}, the steps of the longest episode of {of}, of which only whole ones are learned from"
        )


def check_restarts(name: str, curriculum: Curriculum | None, env: Env, rollout_length: int) -> None:
    """Refuse rollouts in which a longest episode does not end, where every slot begins a new one with the rollout: what is long would be cut
    each time, and the agent would never live to see more of it.

    Args:
        name: of the curriculum.
        curriculum: as it is beside the learner, if there is one.
        env: of whose own task it may be known how long an episode can be.
        rollout_length: steps of a rollout.

    Raises:
        ValueError: rollouts, or those of scouts, are shorter; or hold too few episodes for a score.
    """
    most = most_steps(env, env.params)
    if curriculum is None or most is None or not curriculum.restart or curriculum.group > 1:
        return
    why = (
        f"the steps of the longest episode of {env.name}, since curriculum {name!r} begins new episodes with every rollout and cuts longer "
        "ones: set it, or a shorter time limit of the environment"
    )
    if rollout_length < most:
        raise ValueError(f"rollout_length is {rollout_length}; it must be at least {most}, {why}")
    given = curriculum.scouts.steps if curriculum.scouts else 0
    if 0 < given < most:
        raise ValueError(
            f"curriculum_options.scout_steps is {given}; it must be 0, for as many as rollout_length, or at least {most}, {why}"
        )
    needed = curriculum.episodes * most
    if (given or rollout_length) < needed:
        field = "curriculum_options.scout_steps" if given else "rollout_length"
        raise ValueError(
            f"{field} is {given or rollout_length}; it must be at least {needed}, since curriculum {name!r} scores a level by {curriculum.episodes} "
            f"episodes of up to {most} steps each: set it, or another score, such as posterior-learnability"
        )


def _longest(env: Env, arms: Arms | None) -> tuple[int, str]:
    """Steps of the longest episode that is played, as far as that is known (else 0), and of what task it is."""
    tasks = {env.name: env.params}
    if arms is not None:
        sampled = lambda arm: arms.sample(random.key(0), jax.device_put(np.int32(arm)))
        tasks = {f"{env.name} in the arm {name!r}": sampled(arm) for arm, name in enumerate(arms.names)}
    known = {name: steps for name, params in tasks.items() if (steps := most_steps(env, params)) is not None}
    most = max(known.values(), default=0)
    return most, next((name for name, steps in known.items() if steps == most), env.name)


def literal(text: Any) -> Any:
    """A Python literal written as text (``3``, ``(16, 16)``, ``True``), else the text itself."""
    if not isinstance(text, str):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
