"""What a learner minimises, as pure functions with its parameters as an argument.

Written objectives (PPO, A2C) have no parameters; learned ones do. Because ``eta`` is an argument, a
population of objectives is one vmap, and a meta-gradient is one `jax.grad`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from flax import struct
from jaxtyping import Array, Float

from jaxrl_evolve.clock import Clock
from jaxrl_evolve.networks.distributions import Distribution
from jaxrl_evolve.objectives.time_config import HorizonRange
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
        targets: what `TargetObjective.targets` made of the rollout, cut to this batch; ``()`` if it makes nothing.
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
        next_prediction: the same of the true successors; only `Targets` are given it.
    """

    distribution: Distribution
    log_prob: Float[Array, "t n"]
    entropy: Float[Array, "t n"]
    value: Float[Array, "t n"]
    prediction: Float[Array, "t n m"] | None = None
    next_prediction: Float[Array, "t n m"] | None = None


class Init(Protocol):
    """How the parameters of an objective are made."""

    def __call__(self, key: Array, /) -> Any:
        """``eta``, a pytree of float32 arrays; ``()`` if there are none.

        Args:
            key: typed key.
        """
        ...


class Loss(Protocol):
    """What is minimised."""

    def __call__(
        self, eta: Any, batch: ObjectiveBatch, outputs: ObjectiveOutputs, clock: Clock, /
    ) -> tuple[Float[Array, ""], dict[str, Array]]:
        """The loss and metrics of a minibatch.

        Args:
            eta: parameters of the objective.
            batch: what was recorded, leaves ``[t, n, ...]``.
            outputs: what the network says now, leaves ``[t, n, ...]``; gradients flow through these.
            clock: how far the run is.

        Returns:
            A float32 scalar to minimise, and float32 scalars by name, the same names on every call.
        """
        ...


class Targets(Protocol):
    """What an objective makes of a rollout before anything is minimised."""

    def __call__(self, eta: Any, batch: ObjectiveBatch, outputs: ObjectiveOutputs, clock: Clock, /) -> Any:
        """Targets of the rollout, a pytree with leaves ``[T, N, ...]``.

        Args:
            eta: parameters of the objective.
            batch: the whole rollout, leaves ``[T, N, ...]``.
            outputs: what the network says with the parameters at the start of the update, also of the true
                successors (``next_prediction``).
            clock: how far the run is.
        """
        ...


class Objective(NamedTuple):
    """An objective that reads advantages and value targets, so that its agents have a critic.

    Attributes:
        init: see `Init`.
        loss: see `Loss`.
        name: for reports.
        horizons: the training horizons that a learned objective was made for; training at others warns.
    """

    init: Init
    loss: Loss
    name: str
    horizons: HorizonRange | None = None


class TargetObjective(NamedTuple):
    """An objective that says once per update what policy and predictions should have been; it reads no critic.

    Attributes:
        init: see `Init`.
        loss: see `Loss`; it finds the targets in ``batch.targets``, as constants.
        targets: see `Targets`.
        name: for reports.
        predictions: width ``m`` of the categorical prediction of each observation that the network has to make
            besides policy and value; 0 is none.
        horizons: as of `Objective`.
    """

    init: Init
    loss: Loss
    targets: Targets
    name: str
    predictions: int = 0
    horizons: HorizonRange | None = None


class RuleObjective(NamedTuple):
    """A whole update rule, which needs a learner of its own.

    Attributes:
        init: see `Init`.
        rule: what that learner understands, such as `objectives.disco.DiscoRule`.
        name: for reports.
        horizons: as of `Objective`.
    """

    init: Init
    rule: Any
    name: str
    horizons: HorizonRange | None = None


AnyObjective = Objective | TargetObjective | RuleObjective
"""What `find_objective` gives; a learner refuses those that it cannot use."""


def no_parameters(key: Array, /) -> tuple[()]:
    """The ``init`` of an objective without parameters."""
    del key
    return ()
