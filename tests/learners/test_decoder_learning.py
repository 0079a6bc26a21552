"""PPO trains a decoder as it trains any network with a memory: on a task of tokens that needs one."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs import Box, Discrete, Env, EnvStep
from jaxrl_envs.check import check_env
from jaxrl_envs.token.vocabulary import BOS, EOS, PAD
from jaxrl_envs.vector import vectorize
from jaxrl_evolve.learners.ppo import PPOConfig, PPOHyperparameters, ppo
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.decoder_config import DecoderConfig
from jaxrl_evolve.runs.chunk import make_chunk
from jaxrl_evolve.training.experiment import traced

DIGITS = 4
ENVS, LENGTH, UPDATES = 128, 10, 30


def successor() -> Env:
    """The prompt is ``BOS a b``; the answer is ``a + 1`` (after the last digit comes the first), then EOS. Reward 1 for all of it,
    a half for the digit alone. Whoever looks at the last token only gets a quarter of that.
    """
    vocabulary = DIGITS + 3

    def show(state: Any) -> jax.Array:
        return jnp.stack([state["tokens"][state["time"]], (state["time"] >= 2).astype(jnp.int32)])

    def reset(key: jax.Array, params: Any) -> tuple[jax.Array, Any]:
        digits = jax.random.randint(key, (2,), 3, vocabulary, jnp.int32)
        tokens = jnp.concatenate([jnp.asarray([BOS], jnp.int32), digits, jnp.full((2,), PAD, jnp.int32)])
        state = {"tokens": tokens, "time": jnp.zeros((), jnp.int32)}
        return show(state), state

    def step(key: jax.Array, state: Any, action: jax.Array, params: Any) -> EnvStep:
        asked = state["time"] >= 2
        time = state["time"] + 1
        tokens = jnp.where(asked, state["tokens"].at[time].set(action), state["tokens"])
        state = {"tokens": tokens, "time": time}
        over = asked & ((action == EOS) | (time == 4))
        right = tokens[3] == 3 + (tokens[1] - 2) % DIGITS
        reward = jnp.where(over & right, jnp.where(action == EOS, 1.0, 0.5), 0.0).astype(jnp.float32)
        info = {"success": over & right & (action == EOS)}
        return EnvStep(show(state), state, reward, over, jnp.bool_(False), info)

    observations = Box((0.0, 0.0), (vocabulary - 1.0, 1.0), (2,), "int32")
    return Env("tiny/Successor", reset, step, (), observations, Discrete(vocabulary), metrics=("success",))


def test_ppo_learns_to_answer_with_what_it_remembers():
    env = successor()
    check_env(env, steps=8, eager=False)
    shape = DecoderConfig(layers=1, width=16, heads=2, kv_heads=1, mlp=32, context=6)
    config = PPOConfig(epochs=4, minibatches=4, network=NetworkConfig(kind="decoder", decoder=shape))
    hp = PPOHyperparameters(learning_rate=5e-3, gamma=1.0, entropy_coef=0.03)
    chunk = make_chunk(ppo(env, ENVS, LENGTH, config, hp), vectorize(env, ENVS), LENGTH)
    hp = traced(hp)
    state = jax.jit(chunk.init)(jax.random.key(0), hp, env.params)
    run = jax.jit(chunk.run)
    told = []
    for _ in range(UPDATES // 10):
        state, metrics = run(state, hp, (), env.params, jnp.float32(UPDATES), jnp.int32(10))
        told.append({name: float(np.asarray(x)) for name, x in metrics.items()})
    assert int(state.diverged) == -1
    assert told[0]["episode_return"] < 0.4  # of chance and of the last token alone
    assert told[-1]["episode_return"] > 0.9 and told[-1]["episode_success"] > 0.9
