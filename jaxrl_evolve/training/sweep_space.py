"""What a sweep varies: every combination of a grid's values, and draws from ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrl_evolve.algorithms.table import find_algorithm
from jaxrl_evolve.random import KeyTag
from jaxrl_evolve.settings.checks import whole
from jaxrl_evolve.settings.fields import Settings, field_name, parse_field
from jaxrl_evolve.settings.grids import parse_grid, product
from jaxrl_evolve.settings.names import spelled
from jaxrl_evolve.training.config import TrainConfig

_SWEPT = (
    "hp",
    "learner",
    "env_options",
    "steps",
    "num_envs",
    "rollout_length",
    "resets",
    "objective",
    "start",
)
_DRAWS = 8


def space_of(
    config: TrainConfig[Any, Any], grid: Sequence[str], random: Sequence[str], samples: int | None
) -> tuple[list[Settings], tuple[Settings, ...]]:
    """Combinations of static fields, each a program of its own, and the points of every one: hyperparameters by dotted name.

    Args:
        config: what all points share.
        grid: fields and their values, as `sweep.sweep` takes them.
        random: ranges, likewise.
        samples: draws of these, likewise.

    Raises:
        ValueError: naming the field, the value, and what is allowed.
    """
    if not grid and not random:
        raise ValueError(
            "a sweep needs something to vary: --grid FIELD=V1,V2 or --random FIELD=[log:]LOW:HIGH"
        )
    if samples is not None and not random:
        raise ValueError(
            f"samples is {samples}, but nothing is drawn: it is for --random FIELD=[log:]LOW:HIGH"
        )
    samples = whole("samples", _DRAWS if samples is None else samples, 1)
    axes = parse_grid(config, grid, lambda name: _check_swept(config, name, "grid"))
    ranges: dict[str, tuple[bool, float, float]] = {}
    for text in random:
        name, bounds = _range(config, text)
        if name in ranges or name in axes:
            raise ValueError(f"the sweep varies {name} twice")
        ranges[name] = bounds
    draws = _draw(ranges, samples, config.seed)
    static = {name: values for name, values in axes.items() if not name.startswith("hp.")}
    traced = {name: values for name, values in axes.items() if name.startswith("hp.")}
    points = tuple(point | draw for point in product(traced) for draw in draws)
    return list(product(static)), points


def _range(config: Any, text: str) -> tuple[str, tuple[bool, float, float]]:
    """A hyperparameter and its range, from ``field=[log:]low:high``."""
    name, separator, bounds = text.partition("=")
    logarithmic = bounds.startswith("log:")
    numbers = bounds.removeprefix("log:").split(":")
    if not separator or len(numbers) != 2:
        raise ValueError(f"random is {text!r}; it must read FIELD=LOW:HIGH or FIELD=log:LOW:HIGH")
    _check_swept(config, spelled(name), "random")
    name = field_name(config, name)
    if not name.startswith("hp."):
        raise ValueError(
            f"random varies {name}; only hyperparameters (hp.…) can be drawn, use a grid for others"
        )
    low, high = (parse_field(config, name, number) for number in numbers)
    if not low < high or not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(
            f"random draws {name} between {low} and {high}; the first must be less than the second"
        )
    if logarithmic and low <= 0:
        raise ValueError(f"random draws {name} from {low} on a logarithmic scale; both ends must be above 0")
    return name, (logarithmic, low, high)


def _check_swept(config: TrainConfig[Any, Any], name: str, where: str) -> None:
    if name in find_algorithm(config.algorithm).unread:
        raise ValueError(f"{where} varies {name}, which {config.algorithm} does not read")
    if name.partition(".")[0] in ("algorithm", "env", "seeds", "seed", "group"):
        raise ValueError(f"{where} varies {name}, which all points of a sweep share: set it with --{name}")
    if name.partition(".")[0] in ("rows", "checkpoints", "keep", "evaluation", "sinks"):
        raise ValueError(
            f"{where} varies {name}, which does not change what is learned; a sweep varies {', '.join(_SWEPT)}"
        )


def _draw(ranges: Mapping[str, tuple[bool, float, float]], samples: int, seed: int) -> list[Settings]:
    if not ranges:
        return [{}]
    rng = np.random.default_rng([KeyTag.SWEEP_DRAWS, seed])
    draws: list[Settings] = []
    for _ in range(samples):
        draw: Settings = {}
        for name, (logarithmic, low, high) in ranges.items():
            ends = (math.log(low), math.log(high)) if logarithmic else (low, high)
            drawn = rng.uniform(*ends)
            # Six digits say which value it was, and are the value.
            draw[name] = float(f"{math.exp(drawn) if logarithmic else drawn:.6g}")
        draws.append(draw)
    return draws
