"""What a network's features may be trained for besides policy and value: an objective over windows of the rollout.

It is added to whatever the learner minimises, ``loss + prediction_coef * representation loss``. Its own parameters (a model that looks
ahead, a decoder) are trained by steps of their own, whose norm is clipped by itself, so that with a coefficient of 0 the learner is
the one without.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

from flax import struct
from jaxtyping import Array, Bool, Float

from jaxrl_envs.spaces import Space
from jaxrl_evolve.networks.network import Network
from jaxrl_evolve.trajectory import Trajectory


@struct.dataclass
class RepresentationBatch:
    """Windows of ``K`` steps, one from every step of a minibatch; leaves ``[K, B, ...]``.

    Attributes:
        window: the recorded steps, observations as the network reads them; ``next_obs`` is the true successor. A field
            that nobody reads costs nothing.
        belongs: whether a step is of the first one's episode and of this rollout; what others hold means nothing.
        targets: what `Representation.targets` made of the rollout, for the same steps; ``()`` if it makes nothing.
    """

    window: Trajectory
    belongs: Bool[Array, "K B"]
    targets: Any = ()


@runtime_checkable
class InitRepresentation(Protocol):
    """How its own parameters are made."""

    def __call__(self, key: Array, params: Any, /) -> Any:
        """A pytree of float32 arrays; ``()`` if there are none.

        Args:
            key: typed key.
            params: the network's parameters, to know the shapes of its features.
        """
        ...


@runtime_checkable
class RepresentationLoss(Protocol):
    """What is minimised by the network's parameters and its own together."""

    def __call__(
        self, params: Any, own: Any, batch: RepresentationBatch, key: Array, /
    ) -> tuple[Float[Array, ""], dict[str, Array]]:
        """The loss and metrics of a minibatch, before the coefficient.

        Args:
            params: the network's parameters.
            own: its own.
            batch: windows from the steps of the minibatch on.
            key: typed key, another one at every gradient step.

        Returns:
            A float32 scalar to minimise, and float32 scalars by name, the same names on every call.
        """
        ...


@runtime_checkable
class RepresentationTargets(Protocol):
    """What is made of a rollout once per update, before anything is minimised; it has no gradient."""

    def __call__(self, params: Any, own: Any, trajectory: Trajectory, key: Array, /) -> Any:
        """A pytree with leaves ``[T, N, ...]``.

        Args:
            params: the network's parameters, or the slow copy of them, see `Representation.target_rate`.
            own: its own, likewise.
            trajectory: the whole rollout, leaves ``[T, N, ...]``, observations as the network reads them.
            key: typed key.
        """
        ...


def no_targets(params: Any, own: Any, trajectory: Trajectory, key: Array, /) -> tuple[()]:
    """Of an objective that needs none."""
    del params, own, trajectory, key
    return ()


class Representation(NamedTuple):
    """A representation objective.

    Attributes:
        init: see `InitRepresentation`.
        loss: see `RepresentationLoss`.
        name: for reports.
        steps: of a window, ``K``; at most those of a rollout.
        targets: see `RepresentationTargets`.
        target_rate: what of all parameters goes into a slow copy at the beginning of every update, by which targets are
            made. With 1 there is no copy: it would be the parameters as they are then.
    """

    init: InitRepresentation
    loss: RepresentationLoss
    name: str
    steps: int = 1
    targets: RepresentationTargets = no_targets
    target_rate: float = 1.0


@runtime_checkable
class MakeRepresentation(Protocol):
    """A representation's factory: what a learner takes."""

    def __call__(self, network: Network, observation_space: Space, action_space: Space, /) -> Representation:
        """The objective for a network.

        Args:
            network: what is to be trained; ``network.latents`` are the features that it offers, if it does.
            observation_space: of one observation.
            action_space: of one action.

        Raises:
            ValueError: it can't serve the network or the spaces.
        """
        ...
