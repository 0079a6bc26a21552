"""The agents of an arm: their sizes, their settings, and how they are built for an environment.

Sizes are one for all arms on an environment: a horizon in updates must be the same experience for each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from jaxrl_envs.contract import Env
from jaxrl_envs.resets import resets_from_name
from jaxrl_envs.vector import VectorEnv, vectorize
from jaxrl_evolve.algorithms.lpg import lpg_preset
from jaxrl_evolve.algorithms.table import find_algorithm, find_preset
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.meta_test.arms import Arm
from jaxrl_evolve.meta_test.config import MetaTestConfig
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.objectives.families import BUILTIN_FAMILIES, families
from jaxrl_evolve.settings.fields import parse_field
from jaxrl_evolve.settings.names import suggestion
from jaxrl_evolve.settings.nested import update

_TABLE = NetworkConfig(encoder="tabular")
# Adam's step is about the learning rate whatever the gradient, so in a table it is the change of a logit.
_TABLE_LEARNING_RATE = 0.1
_TABLE_CANDIDATES = (0.03, 0.1, 0.3, 1.0)
_FACTORS = (0.25, 1.0, 4.0, 16.0)


class Sizes(NamedTuple):
    """How much experience an update is.

    Attributes:
        num_envs: parallel environments.
        rollout_length: steps of each.
        resets: policy by name.
    """

    num_envs: int
    rollout_length: int
    resets: str

    @property
    def steps(self) -> int:
        """Environment steps of an update."""
        return self.num_envs * self.rollout_length


@dataclasses.dataclass(frozen=True)
class Agents:
    """How the agents of one arm learn in one environment.

    Attributes:
        arm: whose.
        learner: their algorithm.
        venv: their environments.
        config: static settings of the algorithm.
        hp: hyperparameters, floats.
        learning_rates: step sizes to choose from, one to leave it.
        entropy_coefs: weights of the entropy bonus to choose from, likewise.
    """

    arm: Arm
    learner: Learner
    venv: VectorEnv
    config: Any
    hp: Any
    learning_rates: tuple[float, ...]
    entropy_coefs: tuple[float, ...]

    @property
    def candidates(self) -> list[Any]:
        """Hyperparameters to choose from, the preset's first."""
        grid = [
            replace(self.hp, learning_rate=rate, entropy_coef=coef)
            for rate in self.learning_rates
            for coef in self.entropy_coefs
        ]
        return [self.hp, *(hp for hp in grid if hp != self.hp)]


Overrides = Mapping[str, Mapping[str, str]]
"""Settings by algorithm or arm and dotted field, as text."""


def parse_overrides(texts: Sequence[str], arms: Sequence[Arm] = ()) -> Overrides:
    """``ALGORITHM.FIELD=VALUE`` or ``ARM.FIELD=VALUE`` by algorithm or arm's label; an algorithm's name comes first.

    Raises:
        ValueError: one has another form, or there is no such algorithm or arm.
    """
    others = {family.algorithm for kind, family in families().items() if kind not in BUILTIN_FAMILIES}
    # Wrong clocks have their parent's agents, and are not asked for by themselves.
    labels = [arm.label for arm in arms if not arm.parent]
    names = ("lpg", "ppo", "a2c", *sorted(others), *labels)
    overrides: dict[str, dict[str, str]] = {name: {} for name in names}
    for text in texts:
        place, equals, value = text.partition("=")
        whose = max((name for name in overrides if place.startswith(f"{name}.")), key=len, default="")
        field = place.removeprefix(f"{whose}.") if whose else place.partition(".")[2]
        if not equals or not field:
            raise ValueError(
                f"agents has {text!r}; it must be ALGORITHM.FIELD=VALUE or ARM.FIELD=VALUE, such as "
                "lpg.hp.learning_rate=20"
            )
        if not whose:
            name = place.partition(".")[0]
            raise ValueError(
                f"agents has {text!r}, but {name!r} is no agent here: {suggestion(name, overrides)}"
            )
        if not field.startswith(("hp.", "learner.")):
            raise ValueError(f"agents has {text!r}; the field must be one of hp.… or learner.…")
        overrides[whose][field] = value
    return overrides


@dataclasses.dataclass(frozen=True)
class _Settings:
    learner: Any
    hp: Any


def choose_sizes(config: MetaTestConfig, arms: Sequence[Arm], env: str) -> Sizes:
    """The sizes that all arms share: as asked for, else as in meta-training, else as the first arm's preset.

    Raises:
        ValueError: the objectives were trained with different sizes and none is asked for.
    """
    recorded = {arm.sizes: arm.label for arm in arms if arm.sizes is not None}
    preset = find_preset(arms[0].algorithm, env)
    known = next(iter(recorded), None) or (preset.num_envs, preset.rollout_length)
    asked = (config.num_envs, config.rollout_length)
    if len(recorded) > 1 and not all(asked):
        told = ", ".join(f"{label} with {n} environments x {t} steps" for (n, t), label in recorded.items())
        raise ValueError(
            f"num_envs is {config.num_envs} and rollout_length {config.rollout_length}, but the objectives were "
            f"meta-trained with different sizes ({told}); give both"
        )
    return Sizes(asked[0] or known[0], asked[1] or known[1], config.resets or preset.resets)


def build_agents(config: MetaTestConfig, arm: Arm, env: Env, sizes: Sizes, overrides: Overrides) -> Agents:
    """The agents of an arm; compiles nothing.

    Raises:
        ValueError: the arm can't learn in this environment, or a setting is not known or not allowed.
    """
    algorithm, tabular = find_algorithm(arm.algorithm), _is_tabular(config, env)
    preset = find_preset(arm.algorithm, env.name)
    settings = _Settings(preset.config, preset.hp)
    if tabular and arm.algorithm != "lpg":
        hp = replace(settings.hp, learning_rate=_TABLE_LEARNING_RATE)
        settings = _Settings(replace(settings.learner, network=_TABLE), hp)
    settings = replace(settings, hp=replace(settings.hp, **arm.hp))
    asked = {**overrides.get(arm.algorithm, {}), **overrides.get(arm.parent or arm.label, {})}
    settings = update(settings, {name: parse_field(settings, name, text) for name, text in asked.items()})
    try:
        learner = algorithm.make(
            env, sizes.num_envs, sizes.rollout_length, settings.learner, settings.hp, arm.objective
        )
    except ValueError as error:
        raise ValueError(f"{arm.label} cannot learn in {env.name}: {error}") from None
    venv = vectorize(env, sizes.num_envs, resets_from_name(sizes.resets))
    rates, coefs = _grid(config, arm, settings.hp, tabular and settings.learner.optimiser == "adam")
    return Agents(arm, learner, venv, settings.learner, settings.hp, rates, coefs)


def _is_tabular(config: MetaTestConfig, env: Env) -> bool:
    """Whether agents under LPG learn in tables here; then all do."""
    numbered = config.env_options.get("observation", "index") == "index" and env.observation_space.shape == ()
    return numbered and lpg_preset(env.name).config.network.encoder == "tabular"


def _grid(
    config: MetaTestConfig, arm: Arm, hp: Any, table: bool
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    tuning = config.tuning
    baseline = arm.objective is None and arm.learns
    if tuning.off or not (baseline or (arm.objective is not None and tuning.objectives)):
        return (hp.learning_rate,), (hp.entropy_coef,)
    rates = _TABLE_CANDIDATES if table else tuple(factor * hp.learning_rate for factor in _FACTORS)
    # Equal budgets: learned objectives choose from what baselines choose from, if their agents read it.
    bonus = "hp.entropy_coef" not in find_algorithm(arm.algorithm).unread
    return tuning.learning_rates or rates, tuning.entropy_coefs if bonus else (hp.entropy_coef,)
