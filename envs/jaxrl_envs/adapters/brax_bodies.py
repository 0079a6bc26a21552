"""Masses and frictions of a brax environment as parameters, so that bodies are levels.

Factors multiply what the environment's own system has; 1 is the environment as it comes. What brax derives from masses when it loads a
system (the effective masses of joints, by which its constraints are weighed) stays as it is, as in brax's own domain randomisation.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

_EDIT = 0.25  # an edit moves one factor by so much of its range, at most


@struct.dataclass
class BodyParams:
    """What may vary between vmapped brax environments whose bodies do.

    Attributes:
        episode_length: int32, physics steps until truncation.
        mass: float32 ``[links]``, factors of the links' masses and inertias.
        friction: float32 scalar, factor of the friction between all that touches.
    """

    episode_length: jax.Array
    mass: jax.Array
    friction: jax.Array


class Ranges(NamedTuple):
    """Between which factors tasks are drawn, ``(low, high)`` each, both above 0."""

    masses: tuple[float, float]
    frictions: tuple[float, float]


def ranges_of(name: str, environment: Any, masses: Any, frictions: Any) -> Ranges | None:
    """The ranges that options ask for; None if they ask for none.

    Args:
        name: of the environment.
        environment: brax's.
        masses: ``(low, high)``, or None for masses as they are.
        frictions: likewise.

    Raises:
        ValueError: these are no such numbers, or the environment has no system of bodies.
    """
    if masses is None and frictions is None:
        return None
    for option, value in (("masses", masses), ("frictions", frictions)):
        ends = np.asarray((1.0, 1.0) if value is None else value)
        if ends.dtype.kind not in "iuf" or ends.shape != (2,) or not 0 < ends[0] <= ends[1] < np.inf:
            raise ValueError(
                f"{name}: {option} is {value!r}; it must be the pair (low, high) of factors above 0, such as (0.5, 2)"
            )
    # A wrapper would hand on the system, but not take another.
    if not hasattr(getattr(vars(environment).get("sys"), "link", None), "inertia"):
        raise ValueError(f"{name} has no system of bodies, whose masses and frictions could vary")
    pair = lambda value: (1.0, 1.0) if value is None else (float(value[0]), float(value[1]))
    return Ranges(pair(masses), pair(frictions))


def with_bodies(environment: Any, params: BodyParams) -> Any:
    """The environment with other masses and frictions; the one that is given stays as it is."""
    other = copy.copy(environment)
    other.sys = scaled(environment.sys, params.mass, params.friction)
    return other


def scaled(system: Any, mass: jax.Array, friction: jax.Array) -> Any:
    """A brax ``System`` with masses and inertias of links times ``mass``, and frictions of shapes times ``friction``.

    All of brax's backends read the same factors: three of them the links, mjx the bodies, of which the first is the world.
    """
    inertia = system.link.inertia
    inertia = inertia.replace(mass=inertia.mass * mass, i=inertia.i * mass[:, None, None])
    bodies = jnp.concatenate([jnp.ones((1,), mass.dtype), mass])
    return system.replace(
        link=system.link.replace(inertia=inertia),
        body_mass=system.body_mass * bodies,
        body_inertia=system.body_inertia * bodies[:, None],
        geom_friction=system.geom_friction * friction,
    )


def own_bodies(environment: Any, episode_length: jax.Array) -> BodyParams:
    """The parameters of the environment as it comes."""
    links = len(environment.sys.link.inertia.mass)
    return BodyParams(episode_length, jnp.ones((links,), jnp.float32), jnp.ones((), jnp.float32))


def sampler(ranges: Ranges, own: BodyParams) -> Callable[[jax.Array], BodyParams]:
    """``key -> params``: every factor by itself, evenly by its logarithm."""

    def sample(key: jax.Array) -> BodyParams:
        key_mass, key_friction = jax.random.split(key)
        draw = lambda key, shape, ends: jnp.exp(
            jax.random.uniform(key, shape, jnp.float32, *(float(np.log(x)) for x in ends))
        )
        return dataclasses.replace(
            own,
            mass=draw(key_mass, own.mass.shape, ranges.masses),
            friction=draw(key_friction, (), ranges.frictions),
        )

    return sample


def editor(ranges: Ranges) -> Callable[[jax.Array, BodyParams], BodyParams]:
    """``(key, params) -> params``: one factor, drawn evenly among them, moved a little within its range."""

    def edit(key: jax.Array, params: BodyParams) -> BodyParams:
        key_which, key_move = jax.random.split(key)
        links = params.mass.shape[0]
        which = jax.random.randint(key_which, (), 0, links + 1, jnp.int32)
        move = jax.random.uniform(key_move, (), jnp.float32, -_EDIT, _EDIT)

        def moved(factor: jax.Array, chosen: jax.Array, ends: tuple[float, float]) -> jax.Array:
            size = float(np.log(ends[1] / ends[0]))
            return jnp.where(chosen, jnp.clip(factor * jnp.exp(move * size), *ends), factor)

        mass = moved(params.mass, jnp.arange(links) == which, ranges.masses)
        return dataclasses.replace(
            params, mass=mass, friction=moved(params.friction, which == links, ranges.frictions)
        )

    return edit
