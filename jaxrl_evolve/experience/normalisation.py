"""Running statistics of observations and returns, kept in learner state.

Those of observations are updated once per update, after the batch that was collected under the old statistics has been
learned from, and frozen while acting; so the policy that is trained first is exactly the one that acted. Those of returns take a
rollout in before its rewards are scaled by them.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float

from jaxrl_envs.spaces import Discrete, Space


def check_normalised(space: Space, *, own: bool) -> None:
    """Refuse to normalise what a network reads by its space.

    Args:
        space: of observations.
        own: whether the network is the caller's own, which may read bytes otherwise.

    Raises:
        ValueError: observations are numbers of states, which are no quantities, or bytes that the encoder scales itself.
    """
    if isinstance(space, Discrete):
        what = f"observations are numbers of {space.n} states, which are no quantities"
    elif not own and space.dtype == np.uint8 and np.max(space.bound("high")) > 1:
        what = "observations are bytes, which the network scales by their bounds"
    else:
        return
    raise ValueError(f"normalise_observations is True, but {what}: it must be False")


@struct.dataclass
class RunningMoments:
    """Mean and variance of a stream, float32, merged batch by batch (Chan et al. 1979).

    Attributes:
        count: samples seen, float32 scalar.
        mean: shape of one sample.
        variance: shape of one sample.
    """

    count: Float[Array, ""]
    mean: Any
    variance: Any

    @classmethod
    def of_shape(cls, shape: tuple[int, ...]) -> RunningMoments:
        """Moments of nothing: mean 0, variance 1. The first batch takes their place: beside a large mean, a prior of the
        smallest weight would be a variance of its own.
        """
        return cls(jnp.zeros((), jnp.float32), jnp.zeros(shape, jnp.float32), jnp.ones(shape, jnp.float32))

    def merge(self, batch: Array, counted: Bool[Array, ...] | None = None) -> RunningMoments:
        """Include a batch whose trailing axes are those of one sample.

        Args:
            batch: samples.
            counted: bool, one for each sample: which of them count; what the others hold is not read. All by default.
        """
        axes = tuple(range(batch.ndim - self.mean.ndim))
        batch = batch.astype(jnp.float32)
        if counted is not None:
            return self._merge_some(batch, counted, axes)
        size = jnp.asarray(batch.size // max(self.mean.size, 1), jnp.float32)
        return self._merged(size, batch.mean(axes), batch.var(axes))

    def _merge_some(self, batch: Array, counted: Array, axes: tuple[int, ...]) -> RunningMoments:
        size = counted.sum(dtype=jnp.float32)
        own = counted.reshape(counted.shape + (1,) * self.mean.ndim)
        over = lambda x: jnp.where(own, x, 0.0).sum(axes) / jnp.maximum(size, 1.0)
        mean = over(batch)
        merged = self._merged(size, mean, over(jnp.square(batch - mean)))
        # Of nothing and nothing there would be no mean.
        return jax.tree.map(lambda new, old: jnp.where(size > 0, new, old), merged, self)

    def _merged(self, size: Array, mean: Array, variance: Array) -> RunningMoments:
        """With so many samples more, of that mean and variance."""
        total = self.count + size
        delta = mean - self.mean
        second = (
            self.variance * self.count + variance * size + jnp.square(delta) * (self.count * size / total)
        )
        return RunningMoments(total, self.mean + delta * (size / total), second / total)

    def normalise(self, x: Array, limit: float = 10.0) -> Array:
        """``(x - mean) / std`` clipped to ``[-limit, limit]``, float32."""
        scaled = (x.astype(jnp.float32) - self.mean) * jax.lax.rsqrt(self.variance + 1e-8)
        return jnp.clip(scaled, -limit, limit)


@struct.dataclass
class ReturnScale:
    """Scale of the discounted return, for dividing rewards by.

    Rewards are divided by the standard deviation of a running discounted return, not of rewards and without
    centring (Engstrom et al. 2020), so that signs and the optimal policy are kept.

    Attributes:
        running: float32 ``[N]``, each slot's discounted return so far in its episode.
        moments: of that running return over all steps.
    """

    running: Float[Array, " N"]
    moments: RunningMoments

    @classmethod
    def for_slots(cls, num_envs: int) -> ReturnScale:
        """No returns yet."""
        return cls(jnp.zeros((num_envs,), jnp.float32), RunningMoments.of_shape(()))

    def merge(
        self, reward: Float[Array, "T N"], first: Bool[Array, "T N"], gamma: Float[Array, ""]
    ) -> ReturnScale:
        """Include one rollout.

        Args:
            reward: of its steps.
            first: where episodes begin, as in `Trajectory`: also those that took the place of others which never ended.
            gamma: discount factor.
        """

        def step(running: Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
            reward_t, first_t = x
            running = jnp.where(first_t, 0.0, running) * gamma + reward_t
            return running, running

        running, returns = jax.lax.scan(step, self.running, (reward, first))
        return ReturnScale(running, self.moments.merge(returns))

    def scale(self, reward: Array, limit: float = 10.0) -> Array:
        """Rewards over the standard deviation of returns, clipped to ``[-limit, limit]``."""
        return jnp.clip(reward * jax.lax.rsqrt(self.moments.variance + 1e-8), -limit, limit)

    def unscale(self, value: Array) -> Array:
        """Values of scaled rewards in units of the rewards as they came."""
        return value * jnp.sqrt(self.moments.variance + 1e-8)


@struct.dataclass
class DecayingMoments:
    """Exponentially decaying mean and variance of a stream of numbers, unbiased from the first batch on.

    Attributes:
        first: decaying mean of the numbers, from zero; float32 scalar.
        second: decaying mean of their squares, from zero; float32 scalar.
        unseen: weight that zero still has in them, float32 scalar.
    """

    first: Float[Array, ""]
    second: Float[Array, ""]
    unseen: Float[Array, ""]

    @classmethod
    def none(cls) -> DecayingMoments:
        """Nothing seen yet; mean and deviation are not defined."""
        zero = jnp.zeros((), jnp.float32)
        return cls(zero, zero, jnp.ones((), jnp.float32))

    def merge(self, batch: Array, decay: float = 0.99) -> DecayingMoments:
        """Include a batch; all its axes are samples."""
        mix = lambda old, new: decay * old + (1.0 - decay) * new
        return DecayingMoments(
            mix(self.first, batch.mean()), mix(self.second, jnp.square(batch).mean()), decay * self.unseen
        )

    @property
    def mean(self) -> Float[Array, ""]:
        """Mean."""
        return self.first / (1.0 - self.unseen)

    @property
    def deviation(self) -> Float[Array, ""]:
        """Standard deviation, offset a little: it can be divided by, and has a derivative, at zero, too."""
        variance = self.second / (1.0 - self.unseen) - jnp.square(self.mean)
        return jnp.sqrt(jnp.maximum(variance, 0.0) + 1e-12) + 1e-6
