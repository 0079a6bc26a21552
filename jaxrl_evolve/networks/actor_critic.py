"""Actor-critic networks: MLP or CNN encoders, optional GRU memory, shared or separate trunks.

The trunks of actor and critic are stored *stacked* on a leading tower axis and computed as one batched
product with features first (``[tower, features, batch]``). Next to two ordinary MLPs this halves the
number of kernels of a small network, and keeps the bias gradients on the fast axis of a CPU.

Initialisation follows the PPO literature (Engstrom et al. 2020; Huang et al. 2022): orthogonal with gain
sqrt(2) in hidden layers, 0.01 in the policy head and 1 in the value head, biases zero.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_envs.spaces import Box, Discrete, Space
from jaxrl_evolve.networks.distributions import Categorical, Distribution, Normal, TanhNormal
from jaxrl_evolve.networks.layers import Encoder, Head, TowerDense, TowerGRU

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": nn.relu,
    "swish": nn.swish,
    "gelu": nn.gelu,
    "elu": nn.elu,
}


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Shape of an actor-critic network. Everything here is static: a change compiles anew."""

    encoder: Literal["flat", "minatar", "atari", "tabular"] = "flat"
    """How an observation becomes features: flattened, a 3x3 convolution for 10x10 boards, or the
    three-layer convolution of Mnih et al. (2015) for frames of 36x36 pixels and more. 'tabular' is no
    network but a table with one row per state, for discrete observations."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers after the encoder (after the first comes the memory, if any)."""
    activation: Literal["tanh", "relu", "swish", "gelu", "elu"] = "tanh"
    """Nonlinearity of the hidden layers."""
    shared: bool = False
    """Whether actor and critic share one trunk."""
    memory: Literal["none", "gru"] = "none"
    """Recurrent memory of the trunk."""
    memory_size: int = 128
    """Width of the memory."""
    distribution: Literal["normal", "tanh_normal"] = "normal"
    """Policy over a continuous action space: a diagonal Normal (the environment clips), or one squashed
    by tanh to the action bounds. Discrete spaces always take a Categorical."""

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden is {self.hidden}; it must be one or more widths of at least 1")
        if self.memory_size < 1:
            raise ValueError(f"memory_size is {self.memory_size}; it must be at least 1")
        if self.encoder == "tabular" and self.memory != "none":
            raise ValueError(
                f"memory is {self.memory!r}; a table has none, so with it only 'none' is allowed"
            )


class Network(NamedTuple):
    """An actor-critic network as pure functions.

    Batches are ``[N, ...]`` for one step and ``[T, N, ...]`` for `unroll` and `value`. Memory is ``()``
    for feed-forward networks, else float32 ``[N, towers, memory_size]``.

    Attributes:
        init: ``key -> params``.
        actor: ``params -> actor``, what `policy` reads of them; take it out of loops that act.
        policy: ``(actor, obs, first, memory) -> (distribution, memory)``, one step.
        policy_and_value: ``(params, obs, first, memory) -> (distribution, value, memory)``, one step.
        unroll: ``(params, obs, first, memory) -> (distribution, value, prediction)`` over ``[T, N]`` from the
            memory before the first step; ``prediction`` is None, or logits ``[T, N, predictions]``.
        value: ``(params, obs, memory) -> value`` of ``[T, N]`` unrelated observations, each with its own
            memory ``[T, N, ...]``.
        predict: like ``value``, the logits of the prediction.
        initial_memory: ``num_envs -> memory``.
        recurrent: whether there is a memory.
    """

    init: Callable[[Array], Any]
    actor: Callable[[Any], Any]
    policy: Callable[..., tuple[Distribution, Any]]
    policy_and_value: Callable[..., tuple[Distribution, Float[Array, " N"], Any]]
    unroll: Callable[..., tuple[Distribution, Float[Array, "T N"], Float[Array, "T N m"] | None]]
    value: Callable[..., Float[Array, "T N"]]
    predict: Callable[..., Float[Array, "T N m"]]
    initial_memory: Callable[[int], Any]
    recurrent: bool


class ActorCritic(nn.Module):
    """Actor and critic over flat batches; see `Network` for the shapes users meet.

    With ``batch_first`` the last two axes of everything below are swapped: products with the few
    observations of one step are then several times cheaper. Without memory only.
    """

    config: NetworkConfig
    observation_space: Space
    head_size: int
    continuous: bool
    batch_first: bool = False
    predictions: int = 0

    def setup(self) -> None:
        c = self.config
        self.towers = 1 if c.shared else 2
        convolutional = c.encoder != "flat"
        # A flat encoder has no parameters, so every tower may read the same features.
        self.encoders = [
            Encoder(c.encoder, self.observation_space) for _ in range(self.towers if convolutional else 1)
        ]
        self.layers = [TowerDense(self.towers, width, math.sqrt(2), self.batch_first) for width in c.hidden]
        if c.memory == "gru":
            self.gru = TowerGRU(self.towers, c.memory_size)
        self.policy_head = Head(self.head_size, 0.01, self.batch_first)
        # The critic predicts: one product reads values and predictions off its trunk.
        self.value_head = Head(1 + self.predictions, 1.0, self.batch_first)
        if self.continuous:
            self.log_std = self.param("log_std", nn.initializers.zeros, (self.head_size,))

    def before_memory(self, obs: Array) -> Array:
        """``[B, ...]`` to ``[towers, D, B]``: the encoder and the layers before the memory."""
        features = [encode(obs) for encode in self.encoders]
        x = features[0]
        if len(features) > 1:
            x = jnp.stack(features if self.batch_first else [f.T for f in features])
        return self.dense(x, self.layers[:1] if self.config.memory == "gru" else self.layers)

    def after_memory(self, x: Array) -> Array:
        """``[towers, M, B]`` to ``[towers, H, B]``: the layers after the memory, if there is one."""
        return self.dense(x, self.layers[1:]) if self.config.memory == "gru" else x

    def dense(self, x: Array, layers: Any) -> Array:
        for layer in layers:
            x = ACTIVATIONS[self.config.activation](layer(x))
        return x

    def recur(self, x: Array, memory: Array) -> tuple[Array, Array]:
        """One step of the memory: ``x [towers, D, B]`` to ``[towers, M, B]`` and the new memory."""
        memory = self.gru(x, memory)
        return jnp.transpose(memory, (1, 2, 0)), memory

    def actor(self, x: Array) -> tuple[Array, Any]:
        """``[towers, H, B]`` to head parameters ``[A, B]`` and log standard deviations (or None)."""
        return self.policy_head(x[0]), self.log_std if self.continuous else None

    def critic(self, x: Array) -> Array:
        """``[towers, H, B]`` to ``[1 + predictions, B]``: values, then logits of the predictions."""
        out = self.value_head(x[-1])
        return out.T if self.batch_first else out

    def __call__(self, obs: Array, memory: Any) -> Any:
        """Touches every parameter once, for `init`."""
        x = self.before_memory(obs)
        if self.config.memory == "gru":
            x, memory = self.recur(x, memory)
        x = self.after_memory(x)
        return self.actor(x), self.critic(x)


def check_encoder(config: NetworkConfig, space: Space) -> None:
    """Refuse observations that the encoder can't read.

    Raises:
        ValueError: with the shape that it needs.
    """
    if config.encoder == "flat":
        return
    shape = space.shape
    smallest = {"minatar": 3, "atari": 36}[config.encoder]
    if len(shape) != 3 or min(shape[:2]) < smallest:
        raise ValueError(
            f"encoder is {config.encoder!r} but observations have shape {shape}; it needs [height, width, "
            f"channels] of at least {smallest}x{smallest} (use 'flat')"
        )


def make_network(
    config: NetworkConfig, observation_space: Space, action_space: Space, predictions: int = 0
) -> Network:
    """Build the pure functions of an actor-critic network.

    Args:
        config: static shape of the network.
        observation_space: of one observation.
        action_space: of one action; `Discrete` or a one-dimensional `Box`.
        predictions: logits to predict of each observation besides its value.

    Raises:
        ValueError: if the encoder can't read the observations, or the action space is not supported.
    """
    if config.encoder == "tabular":
        from jaxrl_evolve.networks.tabular import make_table  # which needs `Network` from here

        return make_table(observation_space, action_space, predictions)
    check_encoder(config, observation_space)
    match action_space:
        case Discrete(n):
            head_size, continuous = n, False
        case Box(shape=(size,)):
            head_size, continuous = size, True
        case _:
            raise ValueError(
                f"action_space is {action_space}; allowed are Discrete and Box with one dimension"
            )
    squashed = config.distribution == "tanh_normal"
    if squashed and isinstance(action_space, Box) and not action_space.bounded:
        raise ValueError("distribution is 'tanh_normal' but the action space is unbounded; use 'normal'")
    sizes = {"head_size": head_size, "continuous": continuous, "predictions": predictions}
    module = ActorCritic(config, observation_space, **sizes)
    one = dataclasses.replace(config, shared=True)
    single = ActorCritic(one, observation_space, **sizes)
    acting = ActorCritic(one, observation_space, **sizes, batch_first=True)
    recurrent = config.memory == "gru"
    towers = 1 if config.shared else 2

    def distribution(head: tuple[Array, Any], batch: tuple[int, ...]) -> Distribution:
        # Reshaped before transposed: elements of one action then still lie side by side in memory.
        return of_parameters(jnp.moveaxis(head[0].reshape((head_size, *batch)), 0, -1), head[1])

    def of_parameters(mean: Array, log_std: Any) -> Distribution:
        if not continuous:
            return Categorical(mean)
        log_std = jnp.broadcast_to(log_std, mean.shape)
        if squashed and isinstance(action_space, Box):
            return TanhNormal(mean, log_std, action_space.low, action_space.high)
        return Normal(mean, log_std)

    def flat(obs: Array, batch_axes: int) -> Array:
        return obs.reshape((-1, *obs.shape[batch_axes:]))

    def cleared(memory: Array, first: Array) -> Array:
        return jnp.where(first[:, None, None], 0.0, memory)

    def initial_memory(num_envs: int) -> Any:
        return jnp.zeros((num_envs, towers, config.memory_size), jnp.float32) if recurrent else ()

    def init(key: Array) -> Any:
        obs = jnp.zeros((1, *observation_space.shape), observation_space.dtype)
        return module.init(key, obs, initial_memory(1))

    def tower(params: Any, index: int) -> Any:
        """The parameters of one tower alone, as a network with a single tower has them."""
        if towers == 1:
            return params
        own = dict(params["params"])
        for name, layer in own.items():
            if name.startswith(("layers_", "gru")):
                own[name] = jax.tree.map(lambda x: x[index : index + 1], layer)
        if f"encoders_{index}" in own:
            own["encoders_0"] = own[f"encoders_{index}"]
        return {"params": own}

    def actor(params: Any) -> Any:
        # The critic's memory must advance with the actor's, so a recurrent policy needs both towers.
        return params if recurrent else tower(params, 0)

    def policy(actor: Any, obs: Array, first: Array, memory: Any) -> tuple[Distribution, Any]:
        if recurrent:
            head, _, memory = forward(actor, obs, first, memory)
            return distribution(head, first.shape), memory
        head = acting.apply(actor, obs, method=lambda net, obs: net.actor(net.before_memory(obs)))
        return of_parameters(*cast(tuple[Array, Any], head)), memory

    def forward(params: Any, obs: Array, first: Array, memory: Any) -> Any:
        def compute(net: ActorCritic) -> Any:
            x, after = net.before_memory(obs), ()
            if recurrent:
                x, after = net.recur(x, cleared(memory, first))
            x = net.after_memory(x)
            return net.actor(x), net.critic(x), after

        return module.apply(params, method=compute)

    def policy_and_value(params: Any, obs: Array, first: Array, memory: Any) -> Any:
        head, critic, memory = forward(params, obs, first, memory)
        return distribution(head, first.shape), critic[0], memory

    def unroll(params: Any, obs: Array, first: Array, memory: Any) -> Any:
        batch = first.shape

        def compute(net: ActorCritic) -> Any:
            x = net.before_memory(flat(obs, 2))
            if recurrent:
                length, num = batch
                x = x.reshape((*x.shape[:2], length, num)).transpose((2, 0, 1, 3))

                def step(gru: TowerGRU, carry: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
                    x_t, first_t = inputs
                    carry = gru(x_t, cleared(carry, first_t))
                    return carry, carry

                scan = nn.scan(step, variable_broadcast="params", split_rngs={"params": False})
                _, memories = scan(net.gru, memory, (x, first))
                x = memories.transpose((2, 3, 0, 1)).reshape((towers, config.memory_size, length * num))
            x = net.after_memory(x)
            return net.actor(x), net.critic(x)

        head, critic = cast(Any, module.apply(params, method=compute))
        prediction = logits(critic, batch) if predictions else None
        return distribution(head, batch), critic[0].reshape(batch), prediction

    def logits(critic: Array, batch: tuple[int, ...]) -> Array:
        return jnp.moveaxis(critic[1:].reshape((predictions, *batch)), 0, -1)

    def criticise(params: Any, obs: Array, memory: Any) -> Array:
        def compute(net: ActorCritic) -> Any:
            x = net.before_memory(flat(obs, 2))
            if recurrent:
                x, _ = net.recur(x, flat(memory, 2)[:, -1:])
            return net.critic(net.after_memory(x))

        # Batch first is faster here, too, but has no memory.
        alone = single if recurrent else acting
        return cast(Array, alone.apply(tower(params, towers - 1), method=compute))

    def value(params: Any, obs: Array, memory: Any) -> Array:
        return criticise(params, obs, memory)[0].reshape(obs.shape[:2])

    def predict(params: Any, obs: Array, memory: Any) -> Array:
        return logits(criticise(params, obs, memory), obs.shape[:2])

    return Network(init, actor, policy, policy_and_value, unroll, value, predict, initial_memory, recurrent)
