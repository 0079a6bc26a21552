"""What a meta-training starts from: the parameters of another objective, if they mean the same in this one."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_envs.seeds import key_of
from jaxrl_evolve.objectives import AnyObjective
from jaxrl_evolve.objectives.families import time_of
from jaxrl_evolve.objectives.kinds import Learned, find_objective, learned
from jaxrl_evolve.objectives.time_config import OF_THE_LENGTH, HorizonWarning

if TYPE_CHECKING:
    from jaxrl_evolve.meta.config import MetaTrainConfig


def started_from(config: MetaTrainConfig[Any, Any, Any], objective: AnyObjective) -> Callable[[Array], Any]:
    """``key -> eta``: the parameters of the objective that ``config.start`` names, with the family's for the time inputs that it does not have.

    Tells (`HorizonWarning`) of other horizons than it was trained at.

    Args:
        config: of the meta-training.
        objective: what is meta-trained.

    Raises:
        ValueError: there is no such objective, its parameters have other shapes, or its settings give them another meaning.
    """
    name, other = config.start, find_objective(config.start)
    there = learned(name)
    if there is not None and there.kind == config.family.kind:
        _check_meaning(config, there)
    key = key_of(0)
    eta, wanted = other.init(key), jax.eval_shape(objective.init, key)
    missing = set(wanted) - set(eta) if isinstance(eta, dict) else set()
    fits = isinstance(eta, dict) and all("time" in leaf for leaf in missing) and set(eta) <= set(wanted)
    alike = there is None or there.kind == config.family.kind
    if not (fits and alike) or any(eta[leaf].shape != wanted[leaf].shape for leaf in eta):
        raise ValueError(
            f"start is {name!r}, an objective {other.name!r} whose parameters are not those of this "
            f"{objective.name!r}; only time inputs may be missing"
        )
    with_time = config.family.with_time
    if missing and with_time is not None:
        time = time_of(config.complete_settings())
        return lambda key: with_time(eta, time, key)
    whole = {**eta, **{leaf: jnp.zeros(wanted[leaf].shape, jnp.float32) for leaf in missing}}
    return lambda key: whole


def _check_meaning(config: MetaTrainConfig[Any, Any, Any], there: Learned) -> None:
    """Refuse parameters of the same shapes that other settings give another meaning."""
    name, family, settings = config.start, config.family, config.complete_settings()
    # How parameters are drawn is of no concern to those that are there; time is compared below.
    aside = {"time", *family.of_evolution, *family.of_gradients}
    for field in dataclasses.fields(settings):
        theirs, own = getattr(there.settings, field.name), getattr(settings, field.name)
        if field.name not in aside and theirs != own:
            raise ValueError(
                f"start is {name!r}, whose {field.name} is {theirs!r}; settings.{field.name} is {own!r}, which gives its parameters another meaning"
            )
    theirs, own = time_of(there.settings), time_of(settings)
    if theirs.size and theirs.names != own.names:
        told = [", ".join(time.names) or "nothing" for time in (theirs, own)]
        raise ValueError(
            f"start is {name!r}, which reads of the time {told[0]}; settings.time has {told[1]}, which gives its parameters another meaning"
        )
    scaled = [kind for kind in theirs.kinds if kind in OF_THE_LENGTH]
    if scaled and theirs.horizons != own.horizons:
        raise ValueError(
            f"start is {name!r}, which scales {scaled[0]} for horizons of {theirs.horizons}; here horizons are {own.horizons}, which gives its "
            "parameters another meaning"
        )
    if there.horizons not in (None, config.horizon_range):
        warnings.warn(
            f"start is {name!r}, which was trained at horizons of {there.horizons}; here they are {config.horizon_range}",
            HorizonWarning,
            stacklevel=3,
        )
