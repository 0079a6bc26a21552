"""What a person gives of every arm, or of every pair, to a method, checked."""

from __future__ import annotations

from typing import Any

import numpy as np


def shares(name: str, value: Any, one: bool = False) -> np.ndarray:
    """Numbers from 0 to 1, float32 ``[arms]``; a single one is float32 ``[]``.

    Args:
        name: of the option.
        value: as it was given.
        one: whether it may be one number for all arms.

    Raises:
        ValueError: it is no such thing.
    """
    found = _array(value)
    if (
        found is None
        or found.dtype.kind not in "iuf"
        or found.ndim > 1
        or (found.ndim == 0 and not one)
        or not ((found >= 0.0) & (found <= 1.0)).all()
    ):
        allowed = (
            "a number from 0 to 1, or one for each arm" if one else "numbers from 0 to 1, one for each arm"
        )
        raise ValueError(f"curriculum_options.{name} is {value!r}; it must be {allowed}, such as (0,0.5,1)")
    return found.astype(np.float32)


def pairs(name: str, value: Any) -> np.ndarray:
    """A table of flags, bool ``[arms, arms]``.

    Args:
        name: of the option.
        value: as it was given, rows of True and False, or 1 and 0.

    Raises:
        ValueError: it is no such thing.
    """
    found = _array(value)
    square = found is not None and found.ndim == 2 and found.shape[0] == found.shape[1]
    if found is None or not square or found.dtype.kind not in "biuf" or not np.isin(found, (0, 1)).all():
        raise ValueError(
            f"curriculum_options.{name} is {value!r}; it must be rows and columns by arm of True and False (or 1 and 0), such as ((0,1),(0,0))"
        )
    return found.astype(bool)


def not_given(value: Any) -> bool:
    """Whether nothing was given: the empty tuple that is the default, or a list like it."""
    return isinstance(value, tuple | list) and not value


def _array(value: Any) -> np.ndarray | None:
    """As an array; None of rows that are not as long as each other."""
    try:
        return np.asarray(value)
    except ValueError:
        return None
