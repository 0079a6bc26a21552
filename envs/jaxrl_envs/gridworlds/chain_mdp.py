"""The delayed chain as a gymnax 1.x environment. Importing this module imports gymnax."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import environment, spaces

from jaxrl_envs.gridworlds.chains import Chain


@struct.dataclass
class ChainState:
    """``time``: int32, steps taken; ``first``: int32, the episode's first action, 0 before it."""

    time: jax.Array
    first: jax.Array


class DelayedChain(environment.Environment[Any, Any]):
    """Two actions, of which the first of an episode decides between 1 and -1 as the reward of its last step.

    The episode terminates after ``length`` steps; there is no time limit. Without distractors the observation is an
    int32 index, 0 at the start, else ``1 + 2 (time - 1) + first action``. With them it is float32 bits: whether this is
    the start, the first action, and bits drawn anew at each step.
    """

    def __init__(self, longest: int, noisy: bool, distractors: int, chain: Chain) -> None:
        """Chains of up to ``longest`` steps; ``chain`` is the default.

        Raises:
            ValueError: for a size that is out of range.
        """
        super().__init__()
        if longest < 1:
            raise ValueError(f"longest is {longest}; it must be at least 1")
        if not 0 <= distractors <= 31:
            raise ValueError(f"distractors is {distractors}; it must be from 0 to 31")
        self._longest, self._noisy, self._distractors, self._chain = longest, noisy, distractors, chain

    @property
    def default_params(self) -> Any:
        return self._chain

    @property
    def name(self) -> str:
        return "DelayedChain"

    @property
    def num_actions(self) -> int:
        return 2

    def reset_env(self, key: jax.Array, params: Chain) -> tuple[jax.Array, ChainState]:
        state = ChainState(jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))
        return self.observe(key, state, None, params), state

    def step_env(
        self, key: jax.Array, state: ChainState, action: Any, params: Chain
    ) -> tuple[jax.Array, ChainState, jax.Array, jax.Array, dict[Any, Any]]:
        first = jnp.where(state.time == 0, jnp.asarray(action, jnp.int32), state.first)
        state = ChainState(state.time + 1, first)
        over = state.time >= params.length
        between = jnp.zeros((), jnp.float32)
        if self._noisy:
            between = _coin(jax.random.bits(key, (), jnp.uint32) >> 31)
        reward = jnp.where(over, _coin(first == params.correct), between)
        return self.observe(key, state, action, params), state, reward, over, {}

    def is_truncated(self, state: ChainState, params: Chain) -> jax.Array:
        return jnp.zeros((), jnp.bool_)

    def observe(self, key: jax.Array, state: ChainState, action: Any, params: Chain) -> jax.Array:
        if not self._distractors:
            return jnp.where(state.time == 0, 0, 2 * state.time - 1 + state.first).astype(jnp.int32)
        # The topmost bit of the same word is the noise of the reward.
        word = jax.random.bits(key, (), jnp.uint32)
        noise = (word >> jnp.arange(self._distractors, dtype=jnp.uint32)) & 1
        shown = jnp.stack([(state.time == 0).astype(jnp.uint32), state.first.astype(jnp.uint32)])
        return jnp.concatenate([shown, noise]).astype(jnp.float32)

    def action_space(self, params: Chain | None = None) -> spaces.Discrete:
        return spaces.Discrete(2)

    def observation_space(self, params: Chain) -> spaces.Space:
        if not self._distractors:
            return spaces.Discrete(2 * self._longest + 1)
        return spaces.Box(0.0, 1.0, (self._distractors + 2,), jnp.float32)


def _coin(heads: jax.Array) -> jax.Array:
    """1 or -1, float32."""
    return 2.0 * heads.astype(jnp.float32) - 1.0
