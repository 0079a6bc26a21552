"""Times jax-baseline's SPR for `off_policy`, run by the interpreter of a virtual environment of its own in its checkout.

Imports nothing of jaxrl_evolve. The network is given to it from here: the layers of this library's preset, written with flax's convolutions and the
peer's own noisy layers. ``train`` is its compiled training step on batches that lie ready, several in one call, as it makes them where it can; ``whole`` its own loop with its
own buffer, on MinAtar's Python games.
"""

import functools
import importlib.metadata
import json
import os
import sys
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from throughput_peer import say

sys.path.insert(0, os.getcwd())

from jax_baselines.core.env_protocols import PreparedEnvSpec
from jax_baselines.SPR.spr import SPR
from model_builder.flax.layers import NoisyDense
from replay_memory.replay_factory import make_replay_buffer

ATOMS, BATCH, N = 51, 32, 10


def brought_to_one(x):
    low, high = x.min((1, 2, 3), keepdims=True), x.max((1, 2, 3), keepdims=True)
    return (x - low) / (high - low + 1e-5)


class Network(nn.Module):
    """Encoder, transition model and a head of two noisy streams, whose first layers are the projection."""

    convolutions: tuple
    hidden: int
    actions: int

    def setup(self):
        self.encoder = [nn.Conv(c, (k, k), (s, s), padding="VALID") for c, k, s in self.convolutions]
        channels = self.convolutions[-1][0]
        self.ahead = [nn.Conv(channels, (3, 3)) for _ in range(2)]
        self.scale = self.param("scale", nn.initializers.ones, (2, channels))
        self.value_hidden, self.value = NoisyDense(self.hidden), NoisyDense(ATOMS)
        self.advantage_hidden, self.advantage = NoisyDense(self.hidden), NoisyDense(self.actions * ATOMS)
        self.predictor = nn.Dense(2 * self.hidden)

    def encode(self, obses):
        x = obses["image"]
        for layer in self.encoder:
            x = nn.relu(layer(x))
        return brought_to_one(x)

    def values(self, x):
        x = x.reshape((x.shape[0], -1))
        value = self.value(nn.relu(self.value_hidden(x)))[:, None]
        advantage = self.advantage(nn.relu(self.advantage_hidden(x))).reshape((-1, self.actions, ATOMS))
        return nn.softmax(value + advantage - advantage.mean(1, keepdims=True))

    def transition(self, x, action):
        planes = jnp.broadcast_to(action.reshape((-1, 1, 1, self.actions)), (*x.shape[:3], self.actions))
        x = nn.relu(self.ahead[0](jnp.concatenate([x, planes], -1)))
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        x = (x - mean) * jax.lax.rsqrt(variance + 1e-5) * self.scale[0] + self.scale[1]
        return brought_to_one(nn.relu(self.ahead[1](x)))

    def project(self, x):
        x, found = x.reshape((x.shape[0], -1)), []
        for layer in (self.value_hidden, self.advantage_hidden):
            own = layer.variables["params"]
            found.append(x @ own["kernel_mu"] + own["bias_mu"])
        return jnp.concatenate(found, -1)

    def predict(self, x):
        return self.predictor(x)

    def __call__(self, obses, action):
        x = self.encode(obses)
        return self.values(x), self.predict(self.project(self.transition(x, action)))


def builder_of(case):
    """What the peer asks for a network by."""

    def maker(observation_space, action_size, *_):
        network = Network(tuple(map(tuple, case["convolutions"])), case["hidden"], action_size[0])

        def applied(method, params, key, *x):
            rngs = {"params": key} if key is not None else None
            return network.apply(params, *x, rngs=rngs, method=method)

        def build(key=None, print_model=False):
            obs = {"image": jnp.zeros((1, *case["shape"]))}
            params = network.init({"params": key}, obs, jnp.zeros((1, action_size[0])))
            methods = ("encode", "values", "transition", "project", "predict")
            return *(functools.partial(applied, method) for method in methods), params

        return build

    return maker


class Game:
    """MinAtar's Breakout as the peer expects an environment; the time of every step is kept."""

    observation_space = action_space = None

    def __init__(self, shape):
        from minatar import Environment

        self.game, self.shape, self.times = Environment("breakout", sticky_action_prob=0.0), shape, []

    def seen(self):
        return {"image": self.game.state().astype(np.uint8)}

    def reset(self, *_, **__):
        self.game.reset()
        return self.seen(), {}

    def step(self, action):
        self.times.append(time.perf_counter())
        reward, terminated = self.game.act((0, 1, 3)[int(np.asarray(action))])
        return self.seen(), float(reward), bool(terminated), False, {}

    def close(self):
        pass


class Games:
    """What prepares environments for the peer."""

    def __init__(self, case):
        self.case = case

    def prepare_envs(self, num_workers=1, seed=None):
        info = {
            "observation_space": {"image": list(self.case["shape"])},
            "action_size": [3],
            "action_type": "discrete",
            "env_type": "single",
            "env_id": "breakout",
            "worker_num": 1,
            "core_env_type": "SingleEnv",
        }
        self.game = Game(self.case["shape"])
        return PreparedEnvSpec(self.game, Game(self.case["shape"]), info)


def agent_of(case, games):
    agent = SPR(
        games,
        builder_of(case),
        n_step=N,
        categorial_max=10,
        categorial_min=-10,
        learning_rate=1e-4,
        gamma=0.99,
        batch_size=BATCH,
        buffer_size=1_024,
        gradient_steps=2,
        learning_starts=128,
        eval_eps=0,
        use_checkpointing=False,
        optimizer_factory=lambda rate: optax.chain(
            optax.clip_by_global_norm(10.0), optax.adam(rate, eps=1.5e-4)
        ),
        replay_factory=make_replay_buffer,
    )
    agent.shift_size, agent.intensity_scale = case["shift"], case["intensity"]
    agent.eval = lambda *_: {}
    return agent


def batches(case):
    random, many = np.random.default_rng(0), case["bulk"] * BATCH
    return {
        "obses": {"image": random.integers(0, 255, (many, N + 1, *case["shape"]), np.uint8)},
        "actions": random.integers(0, 3, (many, N, 1)).astype(np.float32),
        "rewards": random.normal(size=(many, N)).astype(np.float32),
        "terminateds": np.zeros((many, N), bool),
        "filled": np.ones((many, N), bool),
        "weights": np.ones(many, np.float32),
        "indexes": np.zeros(many, np.int32),
    }


def training_steps(agent, data, calls):
    """Seconds of a gradient step."""
    began = time.perf_counter()
    for _ in range(calls):
        found = agent._train_step(
            agent.params, agent.target_params, agent.opt_state, 0, next(agent.key_seq), **data
        )
        agent.params, agent.target_params, agent.opt_state = found[:3]
    jax.block_until_ready(agent.params)
    return (time.perf_counter() - began) * BATCH / (calls * len(data["rewards"]))


def whole_loop(agent, games, count):
    """Seconds of an environment step of the last part of its own loop."""
    agent.learn(132 + count, log_interval=10**9, eval_num=1)
    times = games.game.times
    games.game.times = []
    return (times[-1] - times[-1 - count]) / count


def main() -> None:
    case = json.loads(sys.argv[1])
    games = Games(case)
    began = time.perf_counter()
    agent, data = agent_of(case, games), jax.device_put(batches(case))
    training_steps(agent, data, 1)
    if case["env"].endswith("MinAtar"):
        whole_loop(agent, games, 8)
    names = ("jax", "jaxlib", "flax", "optax", "dm_pix", "minatar")
    versions = {name: importlib.metadata.version(name) for name in names}
    say(compile_seconds=time.perf_counter() - began, versions=versions)
    for line in sys.stdin:
        if line.strip() == "train":
            say(seconds=training_steps(agent, data, case["updates"] // case["bulk"]))
        else:
            say(seconds=whole_loop(agent, games, case["env_steps"]))


if __name__ == "__main__":
    main()
