"""The arms of a meta-test: learned objectives, the same with clocks that lie, and written baselines.

What is compared differs between arms; what they are compared on never does.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.seeds import key_of
from jaxrl_evolve.meta_test.config import MetaTestConfig
from jaxrl_evolve.meta_test.outcome import result_path
from jaxrl_evolve.objectives import AnyObjective, RuleObjective, TargetObjective
from jaxrl_evolve.objectives.families import ObjectiveFamily, made, time_of
from jaxrl_evolve.objectives.kinds import find_objective, objective_checksum
from jaxrl_evolve.objectives.library import FILE_NAME, shipped
from jaxrl_evolve.objectives.stored import StoredObjective, load
from jaxrl_evolve.objectives.time_config import ClockAblation, HorizonRange

_CLOCKS = {
    "frozen": {"frozen": ClockAblation("frozen")},
    "shuffled": {"shuffled": ClockAblation("shuffled")},
    "wrong": {f"wrong x{factor:g}": ClockAblation("wrong", factor=factor) for factor in (4.0, 0.25)},
}
_SCHEDULES = {"ppo": 0.0, "ppo-constant": 1.0, "a2c": 0.0, "a2c-constant": 1.0}


@dataclasses.dataclass(frozen=True)
class Arm:
    """What learns.

    Attributes:
        label: its name in tables and files.
        algorithm: whose agents learn, a name that `find_algorithm` knows.
        objective: what they minimise; None for the algorithm's own.
        eta: its parameters, leaves ``[meta-seeds, ...]``; ``()`` without any.
        meta_seeds: how many parameters there are.
        family: of a stored objective.
        settings: of a stored objective, of the family's dataclass.
        reads_time: whether it reads a true clock.
        parent: label of the objective whose parameters read a wrong clock here.
        horizons: what it was trained at.
        hp: hyperparameters that make it what it is, such as the schedule of the step size it was meta-trained with.
        learns: whether its agents ever change.
        files: SHA-256 of each file it comes from.
        sizes: environments and rollout length in meta-training, where the file says so.
    """

    label: str
    algorithm: str
    objective: AnyObjective | None = None
    eta: Any = ()
    meta_seeds: int = 1
    family: ObjectiveFamily | None = None
    settings: Any = None
    reads_time: bool = False
    parent: str = ""
    horizons: HorizonRange | None = None
    hp: Mapping[str, float] = dataclasses.field(default_factory=dict)
    learns: bool = True
    files: tuple[str, ...] = ()
    sizes: tuple[int, int] | None = None

    @property
    def kind(self) -> str:
        """Kind of a stored objective, else empty."""
        return self.family.kind if self.family else ""

    @property
    def learned(self) -> bool:
        """Whether its objective is learned, and it reads the clock it was trained with."""
        return self.objective is not None and not self.parent


def find_arms(config: MetaTestConfig) -> tuple[Arm, ...]:
    """All arms, objectives first, each followed by its ablations.

    Raises:
        ValueError: an objective is not known or cannot be used, those of one label do not belong together, or an
            ablation is asked for where there is no clock to take away, or two have the same file of results.
    """
    arms: list[Arm] = []
    for text in config.objectives:
        label, sources = _parse(text)
        arm = _objective_arm(label, sources)
        arms.append(arm)
        if arm.reads_time:
            arms += [wrong for name in config.ablations for wrong in _ablated(arm, name)]
    if config.ablations and not any(arm.parent for arm in arms):
        told = ", ".join(arm.label for arm in arms) or "none"
        raise ValueError(
            f"ablations is {config.ablations}, but no objective is a stored one that reads the time (objectives: {told})"
        )
    arms += [_baseline(name) for name in config.baselines]
    labels = [arm.label for arm in arms]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(
                f"objectives and baselines have two arms called {label!r}; name them apart: LABEL=FILE,…"
            )
    _check_files(config.envs, labels)
    return tuple(arms)


def _check_files(envs: Sequence[str], labels: Sequence[str]) -> None:
    """Refuse arms of which one would be taken for the other, since their results are one file."""
    files: dict[str, tuple[str, str]] = {}
    for pair in itertools.product(envs, labels):
        name = result_path(Path(), *pair).name
        (env, label), (other_env, other) = pair, files.setdefault(name, pair)
        if (env, label) != (other_env, other):
            raise ValueError(
                f"objectives and baselines have {other!r} (in {other_env}) and {label!r} (in {env}), whose results would both be {name}; name them "
                "apart: LABEL=FILE,…"
            )


def _parse(text: str) -> tuple[str, list[str]]:
    """``LABEL=A,B`` or ``A`` as its label and the files of its meta-seeds."""
    label, equals, rest = text.partition("=")
    if not equals or os.sep in label:
        rest, path = text, Path(text)
        label = path.parent.name if path.name == FILE_NAME else path.name.removesuffix(".npz")
    names = [name for name in rest.split(",") if name]
    if not label or not names or os.sep in label:
        raise ValueError(
            f"objective is {text!r}; it must be a name, a file, a folder, or LABEL=FILE,FILE,… with a label "
            f"without {os.sep!r}"
        )
    return label, [source for name in names for source in _expanded(name)]


def _expanded(name: str) -> list[str]:
    """The run folders in a folder that is none itself."""
    path = Path(name)
    if name in shipped() or not path.is_dir() or (path / FILE_NAME).is_file():
        return [name]
    # Not what a run lays aside that overwrites another.
    inside = sorted(file.parent for file in path.glob(f"*/{FILE_NAME}") if file.parent.name[0] != ".")
    return [str(folder) for folder in inside] or [name]


def _objective_arm(label: str, sources: list[str]) -> Arm:
    objectives = [find_objective(source) for source in sources]
    for source, objective in zip(sources, objectives, strict=True):
        if isinstance(objective, RuleObjective):
            raise ValueError(
                f"objective {source!r} is a whole update rule ({objective.name}), which is not meta-tested yet; it must "
                "be one that lpg or ppo agents minimise"
            )
    checksums = tuple(objective_checksum(source) for source in sources)
    if not all(checksums):
        if len(sources) > 1:
            raise ValueError(
                f"objectives of {label!r} are {', '.join(sources)}; several meta-seeds must be stored ones"
            )
        objective = objectives[0]
        algorithm = "lpg" if isinstance(objective, TargetObjective) else "ppo"
        eta = jax.tree.map(lambda x: x[None], objective.init(key_of(0)))
        return Arm(label, algorithm, objective, eta, horizons=objective.horizons)
    stored = [load(shipped().get(source, source)) for source in sources]
    first = stored[0]
    for source, other in zip(sources, stored, strict=True):
        _same(label, (sources[0], first), (source, other))
    eta = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves), jnp.float32), *(s.eta for s in stored))
    return Arm(
        label,
        first.family.algorithm,
        objectives[0],
        eta,
        len(stored),
        first.family,
        first.settings,
        bool(time_of(first.settings).size),
        horizons=objectives[0].horizons,
        hp=_schedule(first),
        files=checksums,
        sizes=_sizes(first),
    )


def _schedule(stored: StoredObjective) -> dict[str, float]:
    """The schedule of the agents' step size in meta-training, where the file says so."""
    end = stored.budget.get("learning_rate_end")
    return {"learning_rate_end": float(end)} if isinstance(end, int | float) else {}


def _sizes(stored: StoredObjective) -> tuple[int, int] | None:
    num_envs, length = (stored.budget.get(name) for name in ("num_envs", "rollout_length"))
    return (num_envs, length) if isinstance(num_envs, int) and isinstance(length, int) else None


def _same(label: str, one: tuple[str, StoredObjective], other: tuple[str, StoredObjective]) -> None:
    """Refuse meta-seeds that differ in more than their parameters."""
    (source, a), (another, b) = one, other
    facts = lambda s: {
        "kind": s.kind,
        **_flat(dataclasses.asdict(s.settings)),
        "horizons": s.horizons,
        "learning_rate_end": s.budget.get("learning_rate_end"),
    }
    theirs = facts(b)
    for name, value in facts(a).items():
        if theirs.get(name) != value:
            raise ValueError(
                f"objectives of {label!r} must differ in their parameters alone, but {name} is {value!r} in "
                f"{source} and {theirs.get(name)!r} in {another}"
            )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in tree.items():
        fields |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return fields


def _ablated(arm: Arm, ablation: str) -> list[Arm]:
    """The same parameters under clocks that lie."""
    assert arm.family is not None, "an arm reads the time if it is a stored objective that does"
    arms = []
    for name, clock in _CLOCKS[ablation].items():
        settings = replace(arm.settings, time=replace(arm.settings.time, ablation=clock))
        objective = made(arm.family, settings)
        label = f"{arm.label} {name}"
        arms.append(
            replace(
                arm, label=label, objective=objective, settings=settings, reads_time=False, parent=arm.label
            )
        )
    return arms


def _baseline(name: str) -> Arm:
    if name == "random":
        return Arm(name, "ppo", learns=False)
    return Arm(name, name.partition("-")[0], hp={"learning_rate_end": _SCHEDULES[name]})
