"""The benchmark of curricula as data: mazes, sizes of the training, what agents are tested on, and which curricula are compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxrl_envs.maze import NAMED
from jaxrl_evolve.settings.names import suggestion
from jaxrl_evolve.training.config import EvaluationConfig, TrainConfig
from jaxrl_evolve.training.held_out_config import HeldOut

ENV = "maze/random"


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A task and its sizes, the same for all curricula.

    Under curricula of levels every rollout begins with new episodes, and long ones are cut with it; under others they go on. What differs from
    a curriculum of levels in the choice of levels alone is ``random restart=True``, from one of arms ``random``.

    Attributes:
        env_options: of `ENV`.
        num_envs, rollout_length: of an update.
        steps: environment steps of a seed, those that only score levels among them.
        hidden, memory_size: of the network, whose memory is a GRU.
        hp: hyperparameters of PPO.
        test: what trained agents are tested on, with sampled actions.
    """

    env_options: Mapping[str, str]
    num_envs: int
    rollout_length: int
    steps: int
    hidden: tuple[int, ...]
    memory_size: int
    hp: Mapping[str, float]
    test: HeldOut

    def config(self, curriculum: str, seeds: int, seed: int = 0) -> TrainConfig[Any, Any]:
        """What a curriculum trains.

        Args:
            curriculum: its name, and options as ``NAME=VALUE``, joined by spaces.
            seeds: of one root seed, side by side.
            seed: the root seed.

        Raises:
            ValueError: the curriculum is not known (near matches), or an option does not read so.
        """
        name, *options = curriculum.split()
        for option in options:
            if not all(option.partition("=")):
                raise ValueError(f"presets has {option!r} of {name}; it must read NAME=VALUE")
        network = {"hidden": self.hidden, "memory": "gru", "memory_size": self.memory_size}
        return TrainConfig.preset(
            "ppo",
            ENV,
            env_options=dict(self.env_options),
            steps=self.steps,
            count_scoring=True,
            num_envs=self.num_envs,
            rollout_length=self.rollout_length,
            resets="full",
            curriculum=name,
            curriculum_options={x: value for x, _, value in (option.partition("=") for option in options)},
            seeds=seeds,
            seed=seed,
            rows=20,
            checkpoints=5,
            learner={"epochs": 4, "minibatches": 4, "network": network},
            hp={**self.hp, "learning_rate_end": 0.0},
            evaluation=EvaluationConfig(times=1, episodes=64, final_episodes=64),
        )


_HP = {"gamma": 0.995, "gae_lambda": 0.95, "entropy_coef": 1e-3, "clip": 0.2}

PROTOCOLS = {
    "small": Protocol(
        env_options={"size": "9", "walls": "25", "distinct": "True", "max_steps": "120"},
        num_envs=256,
        rollout_length=128,
        steps=4_000_000,
        hidden=(64,),
        memory_size=64,
        hp={"learning_rate": 1e-3, **_HP},
        test=HeldOut(levels=2_000, episodes=10, envs=NAMED, env_episodes=100),
    ),
    "published": Protocol(
        env_options={"size": "13", "walls": "60", "max_steps": "250"},
        num_envs=256,
        rollout_length=256,
        steps=300_000_000,
        hidden=(256,),
        memory_size=256,
        hp={**_HP, "learning_rate": 2.5e-4, "clip": 0.1},
        test=HeldOut(levels=10_000, episodes=10, envs=NAMED, env_episodes=100),
    ),
}
"""Sizes for two cores, and those of the literature, for an accelerator."""

METHODS = (
    *(
        "random",
        "random restart=True",
        "plr",
        "plr temperature=0.3",
        "robust-plr",
        "accel",
        "sfl",
        "ncc",
        "mna",
    ),
    *("traced", "pace", "paired", "repaired", "true-regret", "sec"),
)
"""The curricula that are compared if none is named, with their options; the arms of the last are numbers of walls."""


def find_protocol(name: str) -> Protocol:
    """The protocol called ``name``.

    Raises:
        ValueError: none is called so; with near matches.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"protocol is {name!r}, which is not known: {suggestion(name, PROTOCOLS)}")
    return PROTOCOLS[name]
