"""Delayed chains: the first action decides the reward at the end (Oh et al. 2020, appendix).

This module holds what is data; importing it imports no environment suite.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.contract import Env
from jaxrl_envs.drawing import grid_world
from jaxrl_envs.keywords import near, reject_unknown
from jaxrl_envs.parameters import like_default
from jaxrl_envs.seeds import key_of


class ChainFamily(NamedTuple):
    """A distribution over chains.

    Attributes:
        length: steps of an episode, drawn uniformly once per lifetime; inclusive.
        noisy: whether every step but the last has a reward of -1 or 1 by a fair coin.
        distractors: random bits that the observation adds to two that matter; 0 gives a tabular observation.
        lifetime: an agent's updates of 1,280 steps each.
    """

    length: tuple[int, int]
    noisy: bool = False
    distractors: int = 0
    lifetime: int = 2_500


CHAINS = {
    "delayed-short": ChainFamily((5, 30)),
    "delayed-long": ChainFamily((5, 50)),
    "noisy-short": ChainFamily((5, 30), noisy=True),
    "noisy-long": ChainFamily((5, 50), noisy=True),
    "distractor": ChainFamily((5, 30), distractors=20),
}
NAMES = tuple(CHAINS)
"""Registry names after ``chain/``."""


@struct.dataclass
class Chain:
    """One chain, the parameters of its environment. Neither field changes within a lifetime.

    The right first action is not shown and not redrawn with the episodes: an agent can only find it out by
    trying, which is the task.

    Attributes:
        length: int32, steps of an episode.
        correct: int32, the first action (0 or 1) that leads to a final reward of 1; the other leads to -1.
    """

    length: jax.Array
    correct: jax.Array


def find_chain(name: str) -> ChainFamily:
    """The family of chains called ``name``.

    Raises:
        ValueError: if there is none.
    """
    if name not in CHAINS:
        raise ValueError(
            f"there is no family of chains {name!r}{near(name, CHAINS) or '.'} Known: {', '.join(CHAINS)}"
        )
    return CHAINS[name]


def sample_chain(key: jax.Array, family: str) -> Chain:
    """A chain of a family, for one lifetime. Pure; ``family`` is static.

    Raises:
        ValueError: for an unknown family.
    """
    shortest, longest = find_chain(family).length
    key_length, key_correct = jax.random.split(key)
    return Chain(
        jax.random.randint(key_length, (), shortest, longest + 1, jnp.int32),
        jax.random.randint(key_correct, (), 0, 2, jnp.int32),
    )


def optimal_chain_return(chain: Chain) -> jax.Array:
    """The largest expected undiscounted return, float32 of the chain's batch shape: 1, noise has mean 0."""
    return jnp.ones(jnp.shape(chain.length), jnp.float32)


def make(name: str, **kwargs: Any) -> Env:
    """A delayed chain of the registry.

    Args:
        name: one of `NAMES`.
        **kwargs: ``length`` (1 to the family's longest), ``correct`` (0 or 1), and ``level_seed`` from which those
            that are not given are drawn (0 by default).

    Raises:
        ValueError: for an unknown option, or a value that an option does not take.
    """
    from jaxrl_envs.adapters.gymnax import from_gymnax
    from jaxrl_envs.gridworlds.chain_mdp import DelayedChain

    full = f"chain/{name}"
    family = find_chain(name)
    reject_unknown(full, kwargs, ["length", "correct", "level_seed"])
    seed = like_default(full, "level_seed", np.int32(0), kwargs.pop("level_seed", 0))
    chain = sample_chain(key_of(seed), name)
    for field in ("length", "correct"):
        if field in kwargs:
            value = like_default(full, field, getattr(chain, field), kwargs[field])
            chain = dataclasses.replace(chain, **{field: value})
    check_params = functools.partial(_check, full, family.length[1])
    check_params(chain)
    environment = DelayedChain(family.length[1], family.noisy, family.distractors, chain)
    return dataclasses.replace(
        from_gymnax(environment, name=full),
        render=_render,
        sample_params=functools.partial(sample_chain, family=name),
        optimal_return=optimal_chain_return,
        check_params=check_params,
    )


def _check(name: str, longest: int, chain: Any) -> None:
    for field, (low, high) in {"length": (1, longest), "correct": (0, 1)}.items():
        if not low <= (value := int(getattr(chain, field))) <= high:
            raise ValueError(f"{field} of {name} is {value}; it must be from {low} to {high}")


def _render(state: Any, chain: Any) -> np.ndarray:
    """A row of cells for each first action, from the start at the left to the reward at the right."""
    length, correct = int(chain.length), int(chain.correct)
    walls = np.zeros((3, length + 1), bool)
    walls[[0, 2], 0] = walls[1, 1:] = True
    time = int(state.time)
    ends = [(2 * action, length, 1.0 if action == correct else -1.0) for action in (0, 1)]
    return grid_world(walls, ends, (2 * int(state.first), time) if time else (1, 0))
