"""Families of tasks with known answers, for curricula."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs import Box, Builder, Discrete, Env, EnvStep


@struct.dataclass
class Coin:
    """A level: how likely an episode is a success, whatever is done; float32."""

    p: Any


def coins(easy: float = 0.0, length: int = 2, skill: bool = False) -> Env:
    """Episodes of ``length`` steps whose last is a success, with reward 1, with the probability of the level; with ``skill`` only for
    whoever then takes action 1.

    A share ``easy`` of the levels always succeeds, as many never do, the others have a probability between 0.3 and 0.7. An edit moves it
    by 1/64. The observation is the probability. All probabilities are 4096ths, so that no program rounds them otherwise.
    """

    def reset(key: Any, coin: Coin) -> tuple[Any, Any]:
        del key
        return coin.p[None], jnp.zeros((), jnp.int32)

    def step(key: Any, state: Any, action: Any, coin: Coin) -> EnvStep:
        last = state + 1 >= length
        won = last & (jax.random.uniform(key) < coin.p) & ((action == 1) | (not skill))
        reward = won.astype(jnp.float32)
        return EnvStep(coin.p[None], state + 1, reward, last, jnp.bool_(False), {"success": won})

    def sample(key: Any) -> Coin:
        key_kind, key_place = jax.random.split(key)
        kind, place = jax.random.uniform(key_kind), jax.random.randint(key_place, (), 1_229, 2_868, jnp.int32)
        between = place.astype(jnp.float32) / 4_096
        return Coin(jnp.where(kind < easy, 1.0, jnp.where(kind < 2 * easy, 0.0, between)))

    def edit(key: Any, coin: Coin) -> Coin:
        return Coin(jnp.clip(coin.p + jnp.where(jax.random.bernoulli(key), 1.0, -1.0) / 64, 0.0, 1.0))

    return Env(
        *("coins", reset, step, Coin(jnp.float32(0.5)), Box(0.0, 1.0, (1,)), Discrete(2)),
        sample_params=sample,
        optimal_return=lambda coin: coin.p,
        edit_params=edit,
        metrics=("success",),
        builder=mint(),
    )


def mint() -> Builder:
    """Coins by two digits to the base 4, each of an action: the probability is the number in 16ths."""

    def look(state: Any) -> Any:
        return jnp.stack([state["time"], state["number"], state["noise"]]).astype(jnp.float32)

    def reset(key: Any, params: Any) -> tuple[Any, Any]:
        zero = jnp.zeros((), jnp.int32)
        state = {"time": zero, "number": zero, "noise": jax.random.uniform(key)}
        return look(state), state

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        after = state | {"time": state["time"] + 1, "number": 4 * state["number"] + action}
        no = jnp.bool_(False)
        return EnvStep(look(after), after, jnp.float32(0), no, no, {})

    editor = Env("mint", reset, step, (), Box(0.0, 16.0, (3,)), Discrete(4))
    return Builder(editor, 2, lambda state: Coin(state["number"].astype(jnp.float32) / 16))
