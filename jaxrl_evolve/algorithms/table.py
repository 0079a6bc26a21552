"""The algorithms that `train` knows by name, and how another package adds one."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxrl_evolve.algorithms.a2c import A2C
from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset
from jaxrl_evolve.algorithms.disco import DISCO
from jaxrl_evolve.algorithms.dqn import DQN
from jaxrl_evolve.algorithms.lpg import LPG
from jaxrl_evolve.algorithms.ppo import PPO
from jaxrl_evolve.algorithms.pqn import PQN
from jaxrl_evolve.algorithms.rainbow import RAINBOWS
from jaxrl_evolve.algorithms.reward_model import PEBBLE, REWARD_MODEL
from jaxrl_evolve.algorithms.sac import SAC
from jaxrl_evolve.algorithms.sequence import SEQUENCES
from jaxrl_evolve.algorithms.spo import SPO
from jaxrl_evolve.algorithms.spo_sac import SPO_SAC
from jaxrl_evolve.settings import plugins
from jaxrl_evolve.settings.foreign import Refused, called, told

BUILTIN_ALGORITHMS: dict[str, Algorithm] = {
    "ppo": PPO,
    "a2c": A2C,
    "lpg": LPG,
    "disco": DISCO,
    "dqn": DQN,
    "pqn": PQN,
    "sac": SAC,
    "spo": SPO,
    "spo-sac": SPO_SAC,
    "reward-model": REWARD_MODEL,
    "pebble": PEBBLE,
    **RAINBOWS,
    **SEQUENCES,
}


def find_algorithm(name: str) -> Algorithm:
    """The algorithm called ``name``, built in or from an installed package.

    Raises:
        ValueError: none is called so (the message gives near matches), or a package offers something that is none.
    """
    found = plugins.find(plugins.ALGORITHMS, name, BUILTIN_ALGORITHMS)
    if not isinstance(found, Algorithm):
        raise Refused(f"algorithm {name!r} is {told(found)}; it must be an Algorithm")
    return found


def find_preset(name: str, env: str) -> Any:
    """The settings, fields as in `Preset`, that the algorithm called ``name`` starts from in an environment.

    Raises:
        ValueError: as `find_algorithm`, or a package's function fails or gives something that is no preset.
    """
    what = f"algorithm {name!r}: its preset"
    algorithm = find_algorithm(name)
    preset = called(what, algorithm.preset, env, saying=(ValueError,))
    lacking = [field.name for field in dataclasses.fields(Preset) if not hasattr(preset, field.name)]
    if lacking:  # a package may have a class of its own for them
        raise Refused(f"{what} gave {told(preset)} without {', '.join(lacking)}; it must be a Preset")
    for field, kind in (("config", algorithm.config), ("hp", algorithm.hp)):
        given = getattr(preset, field)
        if not isinstance(given, kind):
            raise Refused(f"{what} gave {told(given)} as {field}; it must be a {kind.__name__}")
    return preset
