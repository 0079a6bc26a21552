"""Families of learned objectives: how one is built, stored and meta-trained, and how another package adds one."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxrl_evolve.objectives.disco.config import TA_DISCO, DiscoConfig
from jaxrl_evolve.objectives.drift.config import TA_LPO, LPOConfig
from jaxrl_evolve.objectives.library import shipped
from jaxrl_evolve.objectives.lpg_config import TA_LPG, LPGConfig
from jaxrl_evolve.objectives.time_config import NO_TIME, HorizonRange, TimeFeatures
from jaxrl_evolve.objectives.written import WRITTEN
from jaxrl_evolve.settings import plugins
from jaxrl_evolve.settings.foreign import Refused, called, evaluated, told
from jaxrl_evolve.settings.later import later
from jaxrl_evolve.settings.names import closed, suggestion
from jaxrl_evolve.settings.notices import Notice

if TYPE_CHECKING:
    from jaxrl_evolve.objectives.objective import AnyObjective

_NOTHING: Mapping[str, Any] = {}


class ObjectiveFamily(NamedTuple):
    """A family of learned objectives.

    Attributes:
        kind: its name in stored files, and that of its entry point.
        settings: frozen dataclass whose fields (nested dataclasses, tuples, numbers, names) are its settings. A field
            ``time`` of type `TimeFeatures` says what is read of the clock.
        make: ``settings -> Objective``; the shapes of what its ``init`` gives are those of the parameters.
        algorithm: whose agents learn by it, such as ``"ppo"``.
        members: settings of those that are known by name, such as ``"lpg"`` and ``"ta-lpg"``.
        trained: settings that meta-training starts from, by name, where these are others. There, time features get
            the range of the horizons that are trained on.
        evolution: defaults of evolution strategies, fields of `EvolutionConfig`.
        horizons: defaults of lifetimes, fields of `HorizonConfig`.
        of_evolution: settings that evolution needs, such as a start at which antithetic pairs differ.
        of_gradients: settings that meta-gradients need, such as a start that has a slope.
        with_time: ``(eta, time, key) -> eta``, parameters of a time-blind objective with those of time features, which is
            the same objective still; without one they are zero.
        env: environment to be meta-trained on if none is named; empty if one has to be.
        hp: defaults of the agents' hyperparameters, by name.
    """

    kind: str
    settings: type
    make: Callable[[Any], AnyObjective]
    algorithm: str
    members: Mapping[str, Any]
    trained: Mapping[str, Any] = _NOTHING
    evolution: Mapping[str, Any] = _NOTHING
    horizons: Mapping[str, Any] = _NOTHING
    of_evolution: Mapping[str, Any] = _NOTHING
    of_gradients: Mapping[str, Any] = _NOTHING
    with_time: Callable[[Any, TimeFeatures, Any], Any] | None = None
    env: str = ""
    hp: Mapping[str, Any] = _NOTHING


_AWARE = TimeFeatures(("fraction", "log_horizon"), HorizonRange(1.0, 1.0))
# Noise and steps for drift functions are those of Goldie et al. 2025; the defaults, of Jackson et al. 2024 for LPG.
_DRIFT = {
    "sigma": 0.03,
    "sigma_decay": 0.99,
    "learning_rate": 0.03,
    "learning_rate_decay": 0.99,
    "shaping": "centred_rank",
}
# LPO is an odd function of its parameters at zeros, see `LPOConfig.start`; a meta-gradient cannot leave LPG's.
BUILTIN_FAMILIES: dict[str, ObjectiveFamily] = {
    "lpg": ObjectiveFamily(
        "lpg",
        LPGConfig,
        later("objectives.lpg", "lpg"),
        algorithm="lpg",
        members={"lpg": LPGConfig(), "ta-lpg": TA_LPG},
        trained={"ta-lpg": LPGConfig(time=_AWARE)},
        of_gradients={"start": "random"},
        env="grid/random-small",
    ),
    "lpo": ObjectiveFamily(
        "lpo",
        LPOConfig,
        later("objectives.drift.lpo", "lpo"),
        algorithm="ppo",
        members={"lpo": LPOConfig(), "ta-lpo": TA_LPO},
        trained={"ta-lpo": LPOConfig(time=_AWARE)},
        evolution=_DRIFT,
        horizons={"low": 10, "high": 100},
        of_evolution={"start": "hidden"},
        of_gradients={"start": "hidden"},
        with_time=later("objectives.drift.lpo", "lpo_with_time"),
        env="CartPole-v1",
        # An annealed step size is a clock, which the blind would read too.
        hp={"learning_rate_end": 1.0},
    ),
    "disco": ObjectiveFamily(
        "disco",
        DiscoConfig,
        later("objectives.disco.rule", "disco"),
        algorithm="disco",
        members={"disco": DiscoConfig(), "ta-disco": TA_DISCO},
        trained={"ta-disco": DiscoConfig(time=_AWARE)},
        env="Catch-bsuite",
    ),
}
"""Without training, LPO is PPO, LPG asks for nothing, and Disco's parameters are random."""


def families() -> dict[str, ObjectiveFamily]:
    """All families by kind, those of installed packages after the built-in ones.

    Raises:
        ValueError: a package offers something that is none.
    """
    kinds = plugins.names(plugins.OBJECTIVE_FAMILIES, BUILTIN_FAMILIES)
    others = {kind: _offered(kind) for kind in kinds if kind not in BUILTIN_FAMILIES}
    return {**BUILTIN_FAMILIES, **others}


def find_kind(kind: str) -> ObjectiveFamily | None:
    """The family that files call ``kind``, or None."""
    return families().get(kind)


def find_family(name: str) -> ObjectiveFamily:
    """The family of the objective called ``name``, to be meta-trained.

    Raises:
        ValueError: there is none; the message gives near matches.
    """
    family = family_of(name)
    if family is None:
        hint = closed(suggestion(name, members()))
        raise ValueError(
            f"objective is {name!r}, which cannot be meta-trained: {hint} "
            "One of another package is known where that is installed"
        )
    return family


def family_of(name: str) -> ObjectiveFamily | None:
    """The family that an objective's name stands for, or None; tells (`Notice`) of other families that cannot have it."""
    own, others = _by_member()
    for kind in others.get(name, ()):
        whose = f"that of family {own[name].kind!r}" if name in own else "the library's"
        warnings.warn(
            f"objective {name!r} is {whose}; the one that family {kind!r} offers by that name cannot be reached "
            "and needs another",
            Notice,
            stacklevel=3,
        )
    return own.get(name)


def members() -> dict[str, Callable[[], AnyObjective]]:
    """Factories of all objectives of families that are known by name."""
    own, _ = _by_member()
    return {
        name: lambda family=family, name=name: made(family, family.members[name])
        for name, family in own.items()
    }


def _by_member() -> tuple[dict[str, ObjectiveFamily], dict[str, list[str]]]:
    """Families by the names of their objectives; and kinds of those that came too late for a name, which the library's
    written and shipped objectives have before all others.
    """
    own: dict[str, ObjectiveFamily] = {}
    late: dict[str, list[str]] = {}
    for kind, family in families().items():
        taken = {*own, *WRITTEN, *(shipped() if kind not in BUILTIN_FAMILIES else ())}
        for name in family.members:
            if name in taken:
                late.setdefault(name, []).append(kind)
            else:
                own[name] = family
    return own, late


def made(family: ObjectiveFamily, settings: Any) -> AnyObjective:
    """The objective of a family with these settings.

    Raises:
        ValueError: the family refuses them, its function fails, or it gives something that is no objective.
    """
    from jaxrl_evolve.objectives.objective import AnyObjective  # not above: names are listed without jax

    what = f"objective family {family.kind!r}: make"
    objective = called(what, family.make, settings, saying=(ValueError,))
    if not isinstance(objective, AnyObjective):
        raise Refused(f"{what} gave {told(objective)}; it must be an Objective")
    if family.kind not in BUILTIN_FAMILIES:
        _check_parameters(family.kind, objective)
    return objective


def _check_parameters(kind: str, objective: AnyObjective) -> None:
    """Refuse parameters that evolution cannot move, nor a gradient."""
    import jax  # not above: names are listed without it

    what = f"objective family {kind!r}: init of its objective"
    for path, leaf in jax.tree_util.tree_leaves_with_path(evaluated(what, objective.init, jax.random.key(0))):
        if not jax.numpy.issubdtype(leaf.dtype, jax.numpy.floating):
            name = jax.tree_util.keystr(path) or "an array"
            raise Refused(
                f"{what} gives {name} as {leaf.dtype}; parameters that are meta-trained must be floats"
            )


def time_of(settings: Any) -> TimeFeatures:
    """What an objective with these settings reads of the clock."""
    return getattr(settings, "time", NO_TIME)


def _offered(kind: str) -> ObjectiveFamily:
    family = plugins.find(plugins.OBJECTIVE_FAMILIES, kind, {})
    what = f"entry point {kind!r} of {plugins.OBJECTIVE_FAMILIES}"
    if not isinstance(family, ObjectiveFamily):
        raise Refused(f"{what} is {told(family)}; it must be an ObjectiveFamily of that kind")
    if family.kind != kind:
        raise Refused(
            f"{what} is an ObjectiveFamily of kind {family.kind!r}; it must be an ObjectiveFamily of that kind"
        )
    if not (isinstance(family.settings, type) and dataclasses.is_dataclass(family.settings)):
        raise Refused(
            f"{what}: settings is {told(family.settings)}; it must be a dataclass, not an instance of one"
        )
    for name in ("members", "trained", "evolution", "horizons", "of_evolution", "of_gradients", "hp"):
        if not isinstance(getattr(family, name), Mapping):
            raise Refused(f"{what}: {name} is {told(getattr(family, name))}; it must be a mapping by name")
    return family
