"""The networks of a Disco rule, in the layout of the published weights (Oh et al. 2025).

One core reads every rollout backwards in time; another makes one step per update and so carries what the rule
remembers of the agent's life. The second gates the first, unit by unit. With a clock the gate reads the time,
too, through a kernel that starts at zero.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from jaxrl_evolve.objectives.disco.config import INPUTS, DiscoConfig
from jaxrl_evolve.objectives.disco.inputs import RuleInputs, taken

_READ_OUT = nn.initializers.truncated_normal(0.3)
_GATE = nn.initializers.truncated_normal(1.0)


@struct.dataclass
class CoreState:
    """State of an LSTM.

    Attributes:
        cell: float32 ``[..., width]``.
        hidden: float32 ``[..., width]``.
    """

    cell: Float[Array, "*B w"]
    hidden: Float[Array, "*B w"]

    @classmethod
    def zeros(cls, *shape: int) -> CoreState:
        """Before the first step."""
        return cls(jnp.zeros(shape, jnp.float32), jnp.zeros(shape, jnp.float32))


class Answers(NamedTuple):
    """What the rule's networks say of a rollout.

    Attributes:
        policy: logits of its targets.
        y: logits of its targets.
        z: logits of its targets.
        lifetime: state of the core that steps once per update, after this one.
        gate: what the other core was multiplied by.
    """

    policy: Float[Array, "T N A"]
    y: Float[Array, "T N m"]
    z: Float[Array, "T N m"]
    lifetime: CoreState
    gate: Float[Array, " w"]


def lstm_step(gates: Float[Array, "*B gates"], cell: Float[Array, "*#B w"]) -> CoreState:
    """A step of an LSTM whose forget gate is biased by one (Jozefowicz et al. 2015).

    Args:
        gates: of input, candidate, forgetting and output, side by side, before their nonlinearities.
        cell: before the step.
    """
    enter, candidate, forget, out = jnp.split(gates, 4, axis=-1)
    cell = jax.nn.sigmoid(forget + 1.0) * cell + jax.nn.sigmoid(enter) * jnp.tanh(candidate)
    return CoreState(cell, jax.nn.sigmoid(out) * jnp.tanh(cell))


class Core(nn.Module):
    """An LSTM whose one kernel reads input and hidden state side by side."""

    inputs: int
    width: int

    def setup(self) -> None:
        shape = (self.inputs + self.width, 4 * self.width)
        self.kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, jnp.float32)
        self.bias = self.param("bias", nn.initializers.zeros, shape[1:], jnp.float32)

    def step(self, x: Float[Array, " D"], state: CoreState) -> CoreState:
        """One step of one sequence."""
        return lstm_step(jnp.concatenate([x, state.hidden]) @ self.kernel + self.bias, state.cell)

    def backwards(self, x: Float[Array, "T N D"], ended: Bool[Array, "T N"]) -> Float[Array, "T N w"]:
        """Hidden states from the last step to the first; what lies behind an episode's end is not seen."""
        read = x @ self.kernel[: self.inputs] + self.bias
        recurrent = self.kernel[self.inputs :]

        def step(state: CoreState, inputs: tuple[Array, Array]) -> tuple[CoreState, Array]:
            read_t, ended_t = inputs
            state = jax.tree.map(lambda s: jnp.where(ended_t[:, None], 0.0, s), state)
            state = lstm_step(read_t + state.hidden @ recurrent, state.cell)
            return state, state.hidden

        start = CoreState.zeros(x.shape[1], self.width)
        return jax.lax.scan(step, start, (read, ended), reverse=True)[1]


class Embedding(nn.Module):
    """A categorical prediction as one number."""

    hidden: int

    @nn.compact
    def __call__(self, probabilities: Float[Array, "*B m"]) -> Float[Array, "*B"]:
        x = nn.relu(nn.Dense(self.hidden, name="hidden")(probabilities))
        return nn.Dense(1, name="out")(x)[..., 0]


class PerAction(nn.Module):
    """Layers that treat all actions alike; each reads an action's features beside their mean over actions."""

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Float[Array, "T N A D"]) -> Float[Array, "T N A F"]:
        for i, width in enumerate(self.widths):
            mean = jnp.broadcast_to(x.mean(2, keepdims=True), x.shape)
            x = nn.relu(nn.Dense(width, name=f"layer_{i}")(jnp.concatenate([x, mean], -1)))
        return x


class Reader(nn.Module):
    """`RuleInputs` as one vector per step, and one per action."""

    config: DiscoConfig

    def setup(self) -> None:
        self.y = Embedding(self.config.hidden)
        self.z = Embedding(self.config.hidden)
        self.action = PerAction((self.config.hidden, self.config.action_features))

    def __call__(self, x: RuleInputs) -> tuple[Float[Array, "T N D"], Float[Array, "T N A F"]]:
        z = [self.z(p) for p in x.z]
        mean, most = lambda p, z: (p * z).sum(-1), lambda z: z.max(-1)
        columns = [self.y(p) for p in x.y]
        for now, after in (z[:2], z[2:]):
            columns += [
                taken(now, x.action),
                mean(x.policy, now),
                mean(x.next_policy, after),
                most(now),
                most(after),
            ]
        actions = jnp.concatenate([x.policies, jnp.stack([z[0], z[2]], -1), x.values], -1)
        features = self.action(actions)
        parts = [x.step, jnp.stack(columns, -1), features.mean(2), taken(features, x.action)]
        return jnp.concatenate(parts, -1), features


class RuleNetwork(nn.Module):
    """All of the rule's networks.

    Input: `RuleInputs`, where episodes ended, the state of the slow core, and the time's features. The slow core
    is read before it steps.
    """

    config: DiscoConfig

    def setup(self) -> None:
        c = self.config
        inputs = INPUTS - 4 + 2 * c.action_features
        self.reader = Reader(c)
        self.core = Core(inputs, c.width)
        self.gate = nn.Dense(c.width, kernel_init=_GATE)
        if c.time.size:
            self.gate_time = self.param(
                "gate_time", nn.initializers.zeros, (c.time.size, c.width), jnp.float32
            )
        self.note = nn.Dense(1, kernel_init=_READ_OUT)
        self.y = nn.Dense(c.predictions, kernel_init=_READ_OUT)
        self.z = nn.Dense(c.predictions, kernel_init=_READ_OUT)
        self.action = PerAction((c.hidden,))
        self.policy = nn.Dense(1, kernel_init=_READ_OUT)
        self.life_reader = Reader(c)
        self.life_input = nn.Dense(c.hidden)
        self.life_core = Core(c.hidden, c.lifetime_width)

    def __call__(
        self, x: RuleInputs, ended: Bool[Array, "T N"], lifetime: CoreState, time: Float[Array, " F"]
    ) -> Answers:
        vector, features = self.reader(x)
        gate = self.gate(lifetime.hidden)
        if self.config.time.size:
            gate = gate + time @ self.gate_time
        core = self.core.backwards(vector, ended) * gate
        y, z = self.y(core), self.z(core)
        actions = features.shape[2]
        spread = jnp.broadcast_to(core[:, :, None], (*core.shape[:2], actions, core.shape[2]))
        policy = self.policy(self.action(jnp.concatenate([spread, features], -1)))[..., 0]
        told = [self.life_reader(x)[0], self.note(core), self.life_reader.y(jax.nn.softmax(y))[..., None]]
        pooled = self.life_input(jnp.concatenate(told, -1)).mean((0, 1))
        return Answers(policy, y, z, self.life_core.step(pooled, lifetime), gate)


def empty_inputs(config: DiscoConfig, actions: int = 2) -> tuple[Any, ...]:
    """Arguments of `RuleNetwork` of the right shapes, for `init`."""
    zeros = lambda *shape: jnp.zeros((1, 1, *shape), jnp.float32)
    a, m = actions, config.predictions
    x = RuleInputs(
        step=zeros(9),
        policies=zeros(a, 3),
        values=zeros(a, 4),
        policy=zeros(a),
        next_policy=zeros(a),
        y=(zeros(m),) * 4,
        z=(zeros(a, m),) * 4,
        action=jnp.zeros((1, 1), jnp.int32),
    )
    ended = jnp.zeros((1, 1), jnp.bool_)
    return x, ended, CoreState.zeros(config.lifetime_width), jnp.zeros((config.time.size,), jnp.float32)
