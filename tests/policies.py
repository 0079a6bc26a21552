"""Policies of every kind of learner, untrained but with parameters and moments that are none of the start's."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
import probes

from jaxrl_envs import Box, Discrete
from jaxrl_evolve import random
from jaxrl_evolve.algorithms.table import find_algorithm
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.objectives.kinds import find_objective
from jaxrl_evolve.runs.policy import Policy, make_policy
from jaxrl_evolve.settings.nested import update

SIZES = {"hidden": (8,), "memory_size": 4}
PIXELS, ACTIONS, N = Box(0.0, 255.0, (2, 3), "uint8"), Discrete(6), 32
LEARNERS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "normalised": ("ppo", "", {"normalise_observations": True, "network": SIZES}, {}),
    "memory": ("ppo", "", {"network": {**SIZES, "memory": "gru"}}, {}),
    "normal": ("ppo", "", {"network": SIZES}, {"action_space": Box(-2.0, 2.0, (3,))}),
    "tanh": (
        "ppo",
        "",
        {"network": {**SIZES, "distribution": "tanh_normal"}},
        {"action_space": Box(-2.0, 2.0, (1,))},
    ),
    "pixels": ("a2c", "", {"network": SIZES}, {"observation_space": PIXELS}),
    "dqn": ("dqn", "", {"network": {"hidden": (8,)}}, {}),
    "table": ("lpg", "lpg", {}, {"observation_space": Discrete(5)}),
    "disco": ("disco", "disco", {"network": {"hidden": (8,)}, "model": 4, "head": 4}, {}),
}
"""Algorithm, objective, settings, spaces."""


@functools.cache
def _untrained(name: str) -> tuple[Any, Learner, Any]:
    """Environment, learner and state, shared by all who only read them."""
    algorithm, objective, settings, spaces = LEARNERS[name]
    env = dataclasses.replace(probes.probe_env(), **{"action_space": ACTIONS, **spaces})
    found = find_algorithm(algorithm)
    preset = found.preset("grid/random-small" if name == "table" else "CartPole-v1")
    config = update(preset.config, settings, "learner")
    learner = found.make(env, 4, 16, config, preset.hp, find_objective(objective) if objective else None)

    @jax.jit
    def start(hp: Any) -> Any:
        leaves, structure = jax.tree.flatten(learner.init(random.key(0), hp))
        keys = jax.random.split(random.key(1), len(leaves))
        shaken = [
            x + ((1.0 if x.ndim > 2 else 0.1) * jax.random.normal(k, x.shape)).astype(x.dtype)
            for k, x in zip(keys, leaves, strict=True)
        ]
        return jax.tree.unflatten(structure, shaken)

    return env, learner, start(preset.hp)


def made(name: str, mode: str = "greedy") -> tuple[Any, Learner, Any, Policy]:
    """Environment, learner, its state and what it acts like; no parameter and no moment is as at the start."""
    env, learner, state = _untrained(name)
    return env, learner, state, make_policy(env, learner, state, mode)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _observations(space: Any, num: int, key: Any) -> Any:
    return jax.lax.map(space.sample, jax.random.split(key, num))


def observations(space: Any, num: int, seed: int) -> np.ndarray:
    return np.asarray(_observations(space, num, jax.random.key(seed)))
