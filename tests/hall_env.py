"""The halls of `hall` as an environment whose parameters are the spec: walk on by action 1, unless one slips."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import hall
import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs import Box, Discrete, Env, EnvStep
from jaxrl_evolve.generation.archive_config import ArchiveConfig
from jaxrl_evolve.generation.config import GenerateConfig
from jaxrl_evolve.generation.experiment import Experiment, build
from jaxrl_evolve.generation.setting import Setting, Validated, Verdict
from jaxrl_evolve.learners.ppo_config import PPOConfig
from jaxrl_evolve.networks.config import NetworkConfig


@struct.dataclass
class Hall:
    """A spec as arrays."""

    length: Any
    slip: Any
    gifts: Any
    goal: Any


def encode(data: Any) -> Hall:
    gifts = jnp.asarray([skill in data["gifts"] for skill in hall.SKILLS])
    return Hall(
        jnp.int32(data["length"]),
        jnp.float32(data["slip"]),
        gifts,
        jnp.int32(hall.SKILLS.index(data["goal"])),
    )


def reset(key: Any, params: Hall) -> Any:
    del key
    return jnp.zeros((1,), jnp.float32), (jnp.int32(0), jnp.int32(0))


def step(key: Any, state: Any, action: Any, params: Hall) -> EnvStep:
    """A skill is done where so many quarters of the hall are behind, or where it was handed out."""
    walks = (action == 1) & (jax.random.uniform(key) >= params.slip)
    place, time = state[0] + walks, state[1] + 1
    quarters = jnp.asarray([0.25, 0.5, 0.75, 1.0]) * params.length
    done = (place >= quarters) | params.gifts
    won = done[params.goal]
    return EnvStep(
        (place / params.length).astype(jnp.float32)[None],
        (place, time),
        won.astype(jnp.float32),
        won,
        time >= 16,
        {"success": won, "skills": done},
    )


def validate(proposals: Any, seed: int) -> Validated:
    """What is won by a gift alone is refused."""
    said = [
        Verdict(("won at reset", "its goal is handed out") if p.data["goal"] in p.data["gifts"] else ())
        for p in proposals
    ]
    return Validated(said, 10 * len(said))


def sample(key: Any) -> Hall:
    """A hall of another length."""
    return replace(encode(hall.ORIGINAL), length=jax.random.randint(key, (), 1, 21, jnp.int32))


def setting() -> Setting:
    original = encode(hall.ORIGINAL)
    env = Env(
        "toy/hall",
        reset,
        step,
        original,
        Box(0.0, 2.0, (1,)),
        Discrete(2),
        sample_params=sample,
        metrics=("success", "skills"),
    )
    return Setting(hall.DOMAIN, env, encode, lambda data: hall.SKILLS, validate)


SETTING = setting()
CONFIG = GenerateConfig(
    env="toy/hall",
    cycles=3,
    specs=3,
    cycle_steps=1024,
    final_steps=256,
    num_envs=8,
    rollout_length=16,
    learner=PPOConfig(epochs=1, minibatches=1, network=NetworkConfig(hidden=(8,))),
    episodes=16,
    archive=ArchiveConfig(active=6, episodes=8),
)


@functools.cache
def experiment() -> Experiment:
    """One for all loops of the tests that need no curriculum: what they differ in is data."""
    return build(CONFIG, SETTING)
