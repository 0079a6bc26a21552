"""How far each slot would move the policy, against the gradient of a softmax table in NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.spaces import Discrete
from jaxrl_evolve.learners.influence import influence_of
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.networks.table import make_network
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

T, N, STATES, ACTIONS = 6, 11, 3, 2


def test_influence_is_the_squared_norm_of_each_slots_policy_gradient():
    """Eleven slots, which no group of eight divides."""
    rng = np.random.default_rng(0)
    network = make_network(NetworkConfig(encoder="tabular"), Discrete(STATES), Discrete(ACTIONS))
    table = rng.normal(size=(STATES, ACTIONS)).astype(np.float32)
    params = {**network.init(jax.random.key(0)), "policy": jnp.asarray(table)}
    obs, action = rng.integers(0, STATES, (T, N)), rng.integers(0, ACTIONS, (T, N))
    advantage = rng.normal(size=(T, N)).astype(np.float32)
    advantage[:, 2] = advantage.mean()  # which is nothing to learn from
    zeros, no = jnp.zeros((T, N), jnp.float32), jnp.zeros((T, N), bool)
    seen = (jnp.asarray(obs, jnp.int32), jnp.asarray(action, jnp.int32), zeros, no, no, no)
    trajectory = Trajectory(*seen, jnp.asarray(obs, jnp.int32), policy=PolicyOutput(zeros))
    found = jax.jit(lambda a: influence_of(network, params, trajectory, a))(jnp.asarray(advantage))

    gain = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    pi = np.exp(table) / np.exp(table).sum(1, keepdims=True)
    for i in range(N):
        gradient = np.zeros_like(table)
        for t in range(T):
            gradient[obs[t, i]] += gain[t, i] * (np.eye(ACTIONS)[action[t, i]] - pi[obs[t, i]]) / T
        np.testing.assert_allclose(found[i], np.square(gradient).sum(), rtol=1e-4, atol=1e-6)
