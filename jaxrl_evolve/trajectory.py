"""The one trajectory type that every part of the suite reads and writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
from flax import struct
from jaxtyping import Array, Bool, Float


@struct.dataclass
class PolicyOutput:
    """What the policy said when it acted; leaves ``[T, N, ...]``.

    Attributes:
        log_prob: log-probability (density) of the taken action, float32.
        value: the critic's estimate for ``obs``, float32, or None where nothing kept it.
        distribution: parameters of the action distribution (e.g. logits ``[T, N, A]``), or None.
        memory: the recurrent memory *before* reading ``obs``; ``()`` for feed-forward policies.
    """

    log_prob: Float[Array, "T N"]
    value: Float[Array, "T N"] | None = None
    distribution: Any = None
    memory: Any = ()


@struct.dataclass
class Trajectory:
    """``T`` consecutive steps of ``N`` parallel environments; every leaf is ``[T, N, ...]``.

    `first` is a pre-step flag: the observation at this step starts an episode, so recurrent memory is
    cleared before reading it. `terminated` and `truncated` are post-step flags. There is no ``done``.
    `next_obs` is the true successor, never an observation from after a reset. A field that nobody
    reads inside one compiled program costs nothing: XLA removes it.

    Attributes:
        obs: observations (a pytree).
        action: int32 for discrete, float32 ``[T, N, A]`` for continuous actions.
        reward: float32.
        terminated: bool; the task ended with this step.
        truncated: bool; a time limit cut the episode after this step.
        first: bool; an episode starts with this observation.
        next_obs: like ``obs``.
        policy: what the acting policy said.
        task: index or parameters of the level, arm or specification; ``()`` if there is only one.
        info: fixed-shape facts from the environment.
    """

    obs: Any
    action: Any
    reward: Float[Array, "T N"]
    terminated: Bool[Array, "T N"]
    truncated: Bool[Array, "T N"]
    first: Bool[Array, "T N"]
    next_obs: Any
    policy: PolicyOutput
    task: Any = ()
    info: Mapping[str, Any] = struct.field(default_factory=dict)

    @property
    def ended(self) -> Bool[Array, "T N"]:
        """Whether the episode ended with this step, for either reason."""
        return self.terminated | self.truncated

    @property
    def length(self) -> int:
        """``T``."""
        return self.reward.shape[0]

    def map(self, function: Any) -> Trajectory:
        """Apply ``function`` to every leaf."""
        return jax.tree.map(function, self)
