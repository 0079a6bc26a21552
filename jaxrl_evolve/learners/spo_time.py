"""SPO's learners know how much of an episode is over, and where pieces of it begin and end."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool

from jaxrl_evolve.learners.learner import Learner, Mode
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory


class Timed(NamedTuple):
    """Memory of the learner inside, and how many steps the episode has had, int32 ``[N]``."""

    inner: Any
    time: Array


class Timekeeper(NamedTuple):
    """What is static.

    Attributes:
        inner: the learner inside.
        horizon: steps of an episode that runs its whole length.
        shown: whether policy and critic see the time.
        segment: steps of a piece, or 0.
    """

    inner: Learner
    horizon: int
    shown: bool
    segment: int

    def memory(self, number: int) -> Timed:
        """Before the first observation."""
        return Timed(self.inner.initial_memory(number), jnp.zeros((number,), jnp.int32))

    def seen(self, obs: Array, time: Array) -> Array:
        """Observations ``[..., D]`` with the share of the horizon that is over as a last element."""
        if not self.shown:
            return obs
        share = jnp.minimum(time.astype(jnp.float32) / self.horizon, 1.0)
        return jnp.concatenate([obs, share[..., None]], -1)

    def act(
        self, actor: Any, obs: Any, first: Array, memory: Timed, key: Array, mode: Mode = "explore"
    ) -> tuple[Any, Timed, PolicyOutput]:
        """As the learner inside acts, see `Act`."""
        time = jnp.where(first, 0, memory.time)
        action, inner, said = self.inner.act(actor, self.seen(obs, time), first, memory.inner, key, mode)
        before = Timed(said.memory, time)
        return action, Timed(inner, time + 1), dataclasses.replace(said, memory=before)

    def shown_to_inner(self, t: Trajectory) -> Trajectory:
        """The trajectory as the learner inside may see it: with the time, and nothing to be won after an end of whatever kind."""
        memory = t.policy.memory
        return dataclasses.replace(
            t,
            obs=self.seen(t.obs, memory.time),
            next_obs=self.seen(t.next_obs, memory.time + 1),
            terminated=t.ended,
            truncated=jnp.zeros_like(t.truncated),
            policy=dataclasses.replace(t.policy, memory=memory.inner),
        )

    def pieces(self, t: Trajectory) -> tuple[Bool[Array, "T N"], Bool[Array, "T N"]]:
        """Where what is compared begins, and where it ends: episodes, or pieces of them."""
        if not self.segment:
            return t.first, t.ended
        time = t.policy.memory.time
        return t.first | (time % self.segment == 0), t.ended | ((time + 1) % self.segment == 0)
