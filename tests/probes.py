"""Environments whose optimal values are known, so that a learner's numbers can be asserted.

One environment with traced parameters is all of them: an episode of ``length`` steps shows a cue, and its
last step pays a reward that may depend on nothing, on the cue, on the action, or on both. So one compiled
program, vmapped over the parameters, learns every probe at once.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs import Box, Discrete, Env, EnvStep


@struct.dataclass
class Probe:
    """Parameters of one probe; float32 (numbers and flags alike) so that they stack.

    Attributes:
        length: steps of an episode.
        cued: whether the cue is -1 or 1 at random instead of 0.
        hidden: whether only the first observation shows the cue.
        truncates: whether the task never ends; then every step from the last one on pays, and is cut off
            with probability 1/2 (at random, so that memories of every age are learned about).
        constant, cue, action, match: weights of the reward's parts.
    """

    length: Any = 1.0
    cued: Any = 0.0
    hidden: Any = 0.0
    truncates: Any = 0.0
    constant: Any = 0.0
    cue: Any = 0.0
    action: Any = 0.0
    match: Any = 0.0


PROBES = {
    "constant": Probe(constant=1.0),
    "cue": Probe(cued=1.0, cue=1.0),
    "two steps": Probe(length=2.0, constant=1.0),
    "time limit": Probe(length=2.0, constant=1.0, truncates=1.0),
    "action": Probe(action=1.0),
    "cue and action": Probe(cued=1.0, match=1.0),
    "memory": Probe(length=3.0, cued=1.0, hidden=1.0, match=1.0),
}
NAMES = tuple(PROBES)
LONGEST = 3
CUES = np.asarray([-1.0, 1.0], np.float32)


def stacked() -> Probe:
    """All of `PROBES`, leaves ``[7]``."""
    return jax.tree.map(lambda *x: np.asarray(x, np.float32), *PROBES.values())


def observe(probe: Probe, cue: Any, time: Any) -> jax.Array:
    """``[cue or 0, whether this is the last step]``; after the last step it stays so."""
    shown = jnp.where((probe.hidden > 0) & (time > 0), 0.0, cue * probe.cued)
    return jnp.stack([shown, (time >= probe.length - 1).astype(jnp.float32)])


def probe_env(continuous: bool = False) -> Env:
    """The environment; actions are -1 and 1 (``Discrete(2)``), or a number to be near the target."""

    def reset(key: jax.Array, probe: Probe) -> tuple[Any, Any]:
        cue = jnp.where(jax.random.bernoulli(key), 1.0, -1.0).astype(jnp.float32)
        time = jnp.zeros((), jnp.float32)
        return observe(probe, cue, time), (cue, time)

    def step(key: jax.Array, state: Any, action: Any, probe: Probe) -> EnvStep:
        cue, time = state
        wanted = probe.action + probe.match * cue  # -1, 0 (nothing is wanted) or 1
        if continuous:
            quality = -jnp.abs(wanted) * jnp.square(jnp.clip(action[0], -1.0, 1.0) - 0.5 * wanted)
        else:
            quality = wanted * (2.0 * action.astype(jnp.float32) - 1.0)
        last = time >= probe.length - 1
        reward = jnp.where(last, probe.constant + probe.cue * cue + quality, 0.0)
        endless = probe.truncates > 0
        truncated = last & endless & jax.random.bernoulli(key)
        state = (cue, time + 1)
        return EnvStep(observe(probe, *state), state, reward, last & ~endless, truncated, {})

    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), Probe())
    space = Box(-1.0, 1.0, (1,)) if continuous else Discrete(2)
    return Env("probe", reset, step, params, Box(-1.0, 1.0, (2,)), space)


def observations() -> np.ndarray:
    """What each probe shows for each cue, step by step: ``[7, LONGEST, 2 cues, 2]``."""
    one = lambda probe: jnp.stack(
        [jnp.stack([observe(probe, c, jnp.float32(t)) for c in CUES]) for t in range(LONGEST)]
    )
    return np.asarray(jax.jit(jax.vmap(one))(stacked()))


def optimal_values(name: str, gamma: float, solved: float = 1.0) -> np.ndarray:
    """Values under the best policy: ``[length, 2 cues]``.

    Args:
        name: of the probe.
        gamma: discount.
        solved: reward of the best action (0 in the continuous probes).
    """
    probe = PROBES[name]
    length = int(probe.length)
    final = probe.constant + probe.cue * CUES + (probe.action + probe.match > 0) * solved
    if probe.truncates:
        # The observation after the limit is that of the last step, and so must be its value.
        final = final / (1.0 - gamma)
    return np.stack([gamma ** (length - 1 - t) * final for t in range(length)]) * np.ones(2)


# --- an environment that follows a script, for checking flags and observations ---

NUMBERS = 1_000_003  # prime; ids below it are exact in float32


def script(start: Any, time: Any) -> tuple[Any, Any]:
    """``(terminated, truncated)`` of the step at ``time`` in the episode numbered ``start``."""
    ended = time >= start % 5
    kind = (start // 5) % 3
    return ended & (kind != 1), ended & (kind != 0)


def scripted_env() -> Env:
    """Episodes have a random number; length (1 to 5) and manner of ending follow from it.

    Observations are ``[number, time]``, the reward is ``time + action``. Whether the number is even, the time and the
    number's remainder are told of each episode.
    """

    def observe(start: Any, time: Any) -> jax.Array:
        return jnp.stack([start, time]).astype(jnp.float32)

    def reset(key: jax.Array, params: Any) -> tuple[Any, Any]:
        start = jax.random.randint(key, (), 0, NUMBERS, jnp.int32)
        time = jnp.zeros((), jnp.int32)
        return observe(start, time), (start, time)

    def step(key: jax.Array, state: Any, action: Any, params: Any) -> EnvStep:
        start, time = state
        terminated, truncated = script(start, time)
        reward = time.astype(jnp.float32) + params * action.astype(jnp.float32)
        state = (start, time + 1)
        info = {"number": start, "even": start % 2 == 0, "facts": jnp.stack([time, start % 7])}
        return EnvStep(observe(*state), state, reward, terminated, truncated, info)

    space = Box(0.0, float(NUMBERS), (2,))
    ones, told = jnp.ones((), jnp.float32), ("even", "facts")
    return Env("scripted", reset, step, ones, space, Discrete(3), metrics=told)
