"""The algorithms that `train` knows by name, and how another package adds one."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.resources.abc import Traversable

from jaxrl_evolve.algorithms.a2c import A2C
from jaxrl_evolve.algorithms.algorithm import Algorithm
from jaxrl_evolve.algorithms.disco import DISCO
from jaxrl_evolve.algorithms.dqn import DQN
from jaxrl_evolve.algorithms.lpg import LPG
from jaxrl_evolve.algorithms.ppo import PPO
from jaxrl_evolve.objectives import Objective, a2c, disco, dpo, lpg, lpo, ppo_clip, stored
from jaxrl_evolve.objectives.disco import TA_DISCO
from jaxrl_evolve.objectives.drift.lpo import TA_LPO
from jaxrl_evolve.objectives.lpg import TA_LPG
from jaxrl_evolve.settings import plugins

BUILTIN_ALGORITHMS: dict[str, Algorithm] = {"ppo": PPO, "a2c": A2C, "lpg": LPG, "disco": DISCO, "dqn": DQN}

BUILTIN_OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "ppo-clip": ppo_clip,
    "a2c": a2c,
    "dpo": dpo,
    "lpo": lpo,
    "ta-lpo": lambda: lpo(TA_LPO),
    "lpg": lpg,
    "ta-lpg": lambda: lpg(TA_LPG),
    "disco": disco,
    "ta-disco": lambda: disco(TA_DISCO),
}
"""Learned ones start at zero parameters: LPO as PPO, LPG as an objective that asks for nothing; Disco at random
ones. A shipped one of the same name takes their place."""


def find_algorithm(name: str) -> Algorithm:
    """The algorithm called ``name``, built in or from an installed package.

    Raises:
        ValueError: none is called so; the message gives near matches.
    """
    return plugins.find(plugins.ALGORITHMS, name, BUILTIN_ALGORITHMS)


def find_objective(name: str) -> Objective:
    """The objective called ``name``: shipped, built in, from an installed package, or stored in a file.

    Args:
        name: a name, or the path of a stored objective or of the run folder of its meta-training.

    Raises:
        ValueError: none is called so (the message gives near matches), or its file can't be used.
    """
    if file := _stored_file(name):
        return stored.load(file).objective()
    known = BUILTIN_OBJECTIVES | dict.fromkeys(stored.shipped())  # the latter for near matches alone
    return plugins.find(plugins.OBJECTIVES, name, known)()


def objective_names() -> list[str]:
    """The names that `find_objective` knows, sorted."""
    return plugins.names(plugins.OBJECTIVES, BUILTIN_OBJECTIVES | dict.fromkeys(stored.shipped()))


def objective_checksum(name: str) -> str:
    """SHA-256 (hex) of the file that the objective called ``name`` is stored in; empty if it is in no file.

    Raises:
        ValueError: there is no such file.
    """
    file = _stored_file(name)
    return stored.checksum(file) if file else ""


def _stored_file(name: str) -> str | Traversable | None:
    """Where the objective is stored, if ``name`` is that of a shipped one or a path; names come first."""
    if name in (files := stored.shipped()):
        return files[name]
    if name in plugins.names(plugins.OBJECTIVES, BUILTIN_OBJECTIVES):
        return None
    return name if os.sep in name or name.endswith(".npz") or os.path.isdir(name) else None
