"""Options of curricula of arms, as a person gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxrl_evolve.curricula.arms.table import find_method
from jaxrl_evolve.curricula.signals import Signal
from jaxrl_evolve.settings.checks import MOST


def check_signal(method: str, signal: str, costs: Any, chosen: Signal) -> None:
    """Refuse a signal that a method cannot learn from, and costs of what is no gain.

    Args:
        method: by name.
        signal: as it was asked for, or empty.
        costs: as they were asked for.
        chosen: the signal.

    Raises:
        ValueError: naming them.
    """
    if find_method(method).successes and signal not in ("", "success"):
        raise ValueError(
            f"signal is {signal!r}, but {method} reckons with shares of successes: it must be 'success'"
        )
    if len(costs) and not chosen.gain:
        raise ValueError(
            f"costs is {costs!r}, but {method} learns from {signal or find_method(method).signal!r}, which is no gain that could "
            "be divided: choose a signal such as advantage, learnability or progress, or no costs"
        )


def check_shape(name: str, value: Sequence[Any], arms: int) -> None:
    """Refuse an option that lists something other than one thing for each arm, or for each pair of them.

    Raises:
        ValueError: naming both shapes.
    """
    try:
        shape = np.shape(value)
    except ValueError:  # rows that are not as long as each other
        raise ValueError(
            f"curriculum_options.{name} is {value!r}, whose rows differ in length; there are {arms} arms, so it must be of shape {(arms,)} or {(arms, arms)}"
        ) from None
    wanted = (arms, arms) if len(shape) == 2 else (arms,)
    if shape != wanted:
        raise ValueError(
            f"curriculum_options.{name} is of shape {shape}; there are {arms} arms, so it must be {wanted}"
        )


def limits(threshold: Any, arms: int) -> Any:
    """Returns from which on something is a success, a float32 number or ``[arms]``, as a person gives them; None for none.

    Raises:
        ValueError: they are not finite, or not one for each arm.
    """
    if threshold is None:
        return None
    values = np.asarray(threshold)
    if values.dtype.kind not in "iuf" or values.shape not in ((), (arms,)) or not np.isfinite(values).all():
        raise ValueError(
            f"threshold is {threshold!r}; it must be a finite number, or {arms}, one for each arm"
        )
    return values.astype(np.float32)


def flags(available: Any, arms: int) -> np.ndarray:
    """Whether each arm may be drawn, bool ``[arms]``; all of nothing that was given.

    Raises:
        ValueError: there is not one for each, or none may be.
    """
    values = np.asarray(available if np.size(available) else [True] * arms)
    if values.shape != (arms,) or not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"available is {available!r}; it must be {arms} of True and False (or 1 and 0), one for each arm"
        )
    if not values.any():
        raise ValueError(f"available is {available!r}; at least one arm must be")
    return values.astype(bool)


def prices(costs: Any, arms: int) -> Any:
    """Costs, float32 ``[arms]``, ``"steps"``, or None.

    Raises:
        ValueError: they are no such thing.
    """
    if isinstance(costs, str):
        if costs not in ("", "steps"):
            raise ValueError(f"costs is {costs!r}; it must be 'steps', or {arms} numbers, one for each arm")
        return costs or None
    values = np.asarray(costs)
    if (
        values.shape != (arms,)
        or values.dtype.kind not in "iuf"
        or not ((values > 0) & (values < MOST)).all()
    ):
        raise ValueError(f"costs is {costs!r}; it must be {arms} finite numbers above 0, one for each arm")
    return values.astype(np.float32)
