"""What an algorithm is to the command and to configurations."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters

if TYPE_CHECKING:
    from jaxrl_envs.contract import Env
    from jaxrl_evolve.learners.learner import Learner
    from jaxrl_evolve.objectives import AnyObjective

NETWORK_OF_ITS_OWN = tuple(
    f"learner.network.{name}"
    for name in ("shared", "memory", "memory_size", "distribution", "kind", "decoder")
)
"""What a learner whose network is no actor-critic does not read of a `NetworkConfig`."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """Settings of a training run that depend on the environment.

    Attributes:
        num_envs: parallel environments of one run.
        rollout_length: steps per environment and update.
        resets: reset policy by name, see `jaxrl_envs.resets.resets_from_name`.
        config: the algorithm's static settings.
        hp: its hyperparameters.
    """

    num_envs: int = 4
    rollout_length: int = 128
    resets: str = "full"
    config: Any = dataclasses.field(default_factory=PPOConfig)
    hp: Any = dataclasses.field(default_factory=PPOHyperparameters)


def preset_for(presets: Mapping[str, Preset], env: str) -> Preset:
    """The preset of the longest pattern that an environment's name matches; ``"*"`` is for the rest."""
    env = env.removeprefix("gymnax/")
    return presets[max((pattern for pattern in presets if fnmatch.fnmatchcase(env, pattern)), key=len)]


class Algorithm(NamedTuple):
    """A learner with everything a command line needs to offer it.

    Attributes:
        make: ``(env, num_envs, rollout_length, config, hp, objective or None) -> Learner``.
        config: frozen dataclass of static settings; its field docstrings are the command's help.
        hp: dataclass (pytree) of traced hyperparameters, floats.
        preset: ``env name -> Preset``, the settings to start from.
        summary: one line for ``jaxrl-evolve list``.
        unread: dotted names of fields of `jaxrl_evolve.TrainConfig` that it has no use for, such as
            ``"learner.network.memory"``: the command does not offer them, and no sweep varies them.
    """

    make: Callable[[Env, int, int, Any, Any, AnyObjective | None], Learner]
    config: type
    hp: type
    preset: Callable[[str], Any]
    summary: str
    unread: tuple[str, ...] = ()
