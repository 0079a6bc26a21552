"""What a learner minimises, as a pair of pure functions with its parameters as an argument.

Written objectives (PPO, A2C) have no parameters; learned ones do. Because ``eta`` is an argument, a
population of objectives is one vmap, and a meta-gradient is one `jax.grad`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from flax import struct
from jaxtyping import Array, Float

from jaxrl_evolve.clock import Clock
from jaxrl_evolve.networks.distributions import Distribution
from jaxrl_evolve.objectives.time_features import HorizonRange
from jaxrl_evolve.trajectory import Trajectory


@struct.dataclass
class ObjectiveBatch:
    """What the objective may read about the past. Leaves ``[t, n, ...]``.

    The two leading axes are time and environments where the learner keeps sequences whole (recurrent
    policies, whole-batch updates); else they only enumerate samples. Objectives that treat samples
    alike need not care.

    Attributes:
        trajectory: the recorded steps.
        advantage: estimated advantage of the taken actions, not normalised; zeros without a critic.
        target: value targets; zeros without a critic.
        hp: the learner's traced hyperparameters.
        targets: what `Objective.targets` made of the rollout, cut to this batch; ``()`` if it makes nothing.
    """

    trajectory: Trajectory
    advantage: Float[Array, "t n"]
    target: Float[Array, "t n"]
    hp: Any
    targets: Any = ()


@struct.dataclass
class ObjectiveOutputs:
    """What the network being trained says now; the loss is differentiated through these.

    Attributes:
        distribution: action distribution at every step, batch ``[t, n]``.
        log_prob: log-probability of the recorded actions.
        entropy: of the distribution.
        value: the critic's estimate.
        prediction: logits of the learned prediction of each observation, or None where the objective asks
            for none.
        next_prediction: the same of the true successors; only `Objective.targets` is given it.
    """

    distribution: Distribution
    log_prob: Float[Array, "t n"]
    entropy: Float[Array, "t n"]
    value: Float[Array, "t n"]
    prediction: Float[Array, "t n m"] | None = None
    next_prediction: Float[Array, "t n m"] | None = None


class Objective(NamedTuple):
    """A training objective.

    Attributes:
        init: ``key -> eta``, the objective's parameters (``()`` if it has none).
        loss: ``(eta, batch, outputs, clock) -> (loss, metrics)``: a float32 scalar to minimise and a dict of
            float32 scalars with the same keys on every call.
        name: for reports.
        targets: ``(eta, batch, outputs, clock) -> targets``, or None: read once per update from the whole
            rollout ``[T, N]`` and the parameters at its start, and constant while ``loss`` is minimised.
        predictions: width ``m`` of the categorical prediction of each observation that the network has to
            make besides policy and value; 0 is none.
        critic: whether ``loss`` reads advantages and value targets.
        horizons: the training horizons that a learned objective was made for; training at others warns.
        rule: an update rule that needs a learner of its own (`objectives.disco.DiscoRule`); then ``loss`` refuses.
    """

    init: Callable[[jax.Array], Any]
    loss: Callable[[Any, ObjectiveBatch, ObjectiveOutputs, Clock], tuple[Array, dict[str, Array]]]
    name: str
    targets: Callable[[Any, ObjectiveBatch, ObjectiveOutputs, Clock], Any] | None = None
    predictions: int = 0
    critic: bool = True
    horizons: HorizonRange | None = None
    rule: Any = None


def no_parameters(key: jax.Array) -> tuple[()]:
    """The ``init`` of an objective without parameters."""
    del key
    return ()
