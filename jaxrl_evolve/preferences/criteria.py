"""Criteria of episodes as text, for the command line and for configurations: ``"return,effort,length"``, ``"observed:5,effort,near:1:0:0.2"``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_envs.spaces import Box, Space
from jaxrl_evolve.settings.checks import whole
from jaxrl_evolve.settings.names import suggestion

DEFAULT = "return,effort,length"
"""What any task has."""

Criteria = Callable[[Any, Array, Array, Any], Array]
"""``(obs, action, reward, next_obs) -> [K]`` of one step, summed over an episode."""


One = Callable[..., Float[Array, ""]]
"""``(action, reward, next_obs, *, within) -> number``, one criterion of a step; ``within`` are the bounds of actions, a `Box`, or None."""


def effort_of(action: Array, within: Box | None = None) -> Float[Array, ""]:
    """How small an action was: minus its square, 0 of choices.

    An action counts as it is done, ``within`` the bounds of its space: policies draw from distributions without any, and how far
    beyond them a draw lies is not felt by the environment.
    """
    if not jnp.issubdtype(action.dtype, jnp.floating):
        return jnp.float32(0)
    done = action.astype(jnp.float32)
    done = done if within is None else jnp.clip(done, within.bound("low"), within.bound("high"))
    return -jnp.square(done).sum()


def _return() -> One:
    return lambda action, reward, next_obs, *, within: reward.astype(jnp.float32)


def _effort() -> One:
    return lambda action, reward, next_obs, *, within: effort_of(action, within)


def _length() -> One:
    return lambda action, reward, next_obs, *, within: jnp.float32(1)


def _observed(place: float) -> One:
    """The number at a place of what was observed after the step, such as a speed."""
    at = _place(place)
    return lambda action, reward, next_obs, *, within: _number(next_obs, at)


def _near(place: float, target: float, width: float) -> One:
    """1 where that number is the target, falling in straight lines to 0 at a width from it, such as a posture."""
    at = _place(place)
    if not width > 0:
        raise ValueError(f"width is {width!r}; it must be a number above 0")
    return lambda action, reward, next_obs, *, within: jnp.maximum(
        1.0 - jnp.abs(_number(next_obs, at) - target) / width, 0.0
    )


CRITERIA: dict[str, Callable[..., One]] = {
    "return": _return,
    "effort": _effort,
    "length": _length,
    "observed": _observed,
    "near": _near,
}
"""By name, with numbers after colons."""


def criteria_from_name(text: str, action_space: Space | None = None) -> Criteria:
    """Criteria as text, joined by commas; each is a name and numbers after colons.

    The same text and space give the same function, so that programs made of it are.

    Args:
        text: ``return``, ``effort`` (minus the squared action, as far as its bounds), ``length``, ``observed:PLACE`` (the number there, counted
            from 0, of the observation after a step laid flat), ``near:PLACE:TARGET:WIDTH`` (1 where it is the target, 0 from a width on).
        action_space: whose bounds actions have.

    Raises:
        ValueError: the text is not read so.
    """
    if not isinstance(text, str) or not text:
        raise ValueError(f"criteria is {text!r}; it must be text such as {DEFAULT!r}")
    return _criteria(text, action_space if isinstance(action_space, Box) else None)


@lru_cache(maxsize=64)
def _criteria(text: str, within: Box | None) -> Criteria:
    return partial(_told, tuple(_one(text, part) for part in text.split(",")), within)


def _told(
    several: Sequence[One], within: Box | None, obs: Any, action: Array, reward: Array, next_obs: Any
) -> Float[Array, " K"]:
    del obs
    return jnp.stack([one(action, reward, next_obs, within=within) for one in several])


def _one(text: str, part: str) -> One:
    name, *words = part.strip().split(":")
    if name not in CRITERIA:
        raise ValueError(f"criteria is {text!r}; there is no {name!r}: {suggestion(name, CRITERIA)}")
    takes = inspect.signature(CRITERIA[name]).parameters
    try:
        given = [float(word) for word in words]
        if len(given) != len(takes) or any(not abs(number) < float("inf") for number in given):
            raise ValueError
    except ValueError:
        reads = ":".join([name, *(p.upper() for p in takes)])
        raise ValueError(f"criteria is {text!r}; {name} reads {reads}, with numbers") from None
    try:
        return CRITERIA[name](*given)
    except ValueError as error:
        raise ValueError(f"criteria is {text!r}: {error}") from None


def _place(place: float) -> int:
    return whole("place", place, 0)


def _number(obs: Any, place: int) -> Float[Array, ""]:
    flat = [leaf.astype(jnp.float32).ravel() for leaf in jax.tree.leaves(obs)]
    size = sum(leaf.shape[0] for leaf in flat)
    # An index beyond the last would be taken for the last.
    if place >= size:
        raise ValueError(
            f"criteria name the place {place} of observations, which have {size} numbers, counted from 0"
        )
    return jnp.concatenate(flat)[place]
