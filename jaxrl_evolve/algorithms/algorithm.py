"""What an algorithm brings to be asked for by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxrl_envs.contract import Env
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.objectives import Objective


class Algorithm(NamedTuple):
    """A learner with everything a command line needs to offer it.

    Attributes:
        make: ``(env, num_envs, rollout_length, config, hp, objective or None) -> Learner``.
        config: frozen dataclass of static settings; its field docstrings are the command's help.
        hp: dataclass (pytree) of traced hyperparameters, floats.
        preset: ``env name -> Preset``, the settings to start from.
        summary: one line for ``jaxrl-evolve list``.
    """

    make: Callable[[Env, int, int, Any, Any, Objective | None], Learner]
    config: type
    hp: type
    preset: Callable[[str], Any]
    summary: str
