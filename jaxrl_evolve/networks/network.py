"""The interface of actor-critic networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array

from jaxrl_envs.spaces import Space
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.distributions import Distribution


@runtime_checkable
class Policy(Protocol):
    """What a network would do, of one step in ``N`` environments."""

    def __call__(self, actor: Any, obs: Array, first: Array, memory: Any, /) -> tuple[Distribution, Any]:
        """One step.

        Args:
            actor: what `Network.actor` took out of the parameters.
            obs: ``[N, ...]``, of the observation space's dtype, or float32 where they are normalised.
            first: bool ``[N]``; memory is cleared where it is set, before ``obs`` is read.
            memory: leaves ``[N, ...]``, or ``()``.

        Returns:
            The distribution of actions, batch ``[N]``, and the new memory.
        """
        ...


@runtime_checkable
class PolicyAndValue(Protocol):
    """Policy and critic in one, of one step in ``N`` environments."""

    def __call__(
        self, params: Any, obs: Array, first: Array, memory: Any, /
    ) -> tuple[Distribution, Array, Any]:
        """One step: the distribution, the value float32 ``[N]``, and the new memory; see `Policy`."""
        ...


@runtime_checkable
class Unroll(Protocol):
    """Policy, critic and prediction of whole sequences: what a loss is differentiated through."""

    def __call__(
        self, params: Any, obs: Array, first: Array, memory: Any, /
    ) -> tuple[Distribution, Array, Array | None]:
        """``T`` steps.

        Args:
            params: the network's.
            obs: ``[T, N, ...]``.
            first: bool ``[T, N]``; memory is cleared where it is set.
            memory: before the first step, leaves ``[N, ...]``, or ``()``.

        Returns:
            The distribution, batch ``[T, N]``; the value, float32 ``[T, N]``; the logits of the prediction, float32
            ``[T, N, predictions]``, or None of a network that was asked for none.
        """
        ...


@runtime_checkable
class Judge(Protocol):
    """What the critic says of observations that have nothing to do with each other."""

    def __call__(self, params: Any, obs: Array, memory: Any, /) -> Array:
        """Of ``obs [T, N, ...]``, each with its own memory (leaves ``[T, N, ...]``, or ``()``): the value, float32
        ``[T, N]``, or the logits of the prediction, float32 ``[T, N, predictions]``.
        """
        ...


class Latents(NamedTuple):
    """What a network makes of observations before policy and value are read off: what representations are learned of.

    Attributes:
        encode: ``(params, obs [B, ...]) -> features``, float32 ``[B, D]``.
        project: ``(params, features [B, D]) -> projection``, float32 ``[B, P]``: what policy and value read next, so that
            features are compared by what matters for these.
    """

    encode: Callable[[Any, Array], Array]
    project: Callable[[Any, Array], Array]


def no_memory(num_envs: int) -> tuple[()]:
    """The memory of feed-forward networks."""
    del num_envs
    return ()


class Network(NamedTuple):
    """An actor-critic network as pure functions. `networks.check.check_network` says what is wrong with one.

    Attributes:
        init: ``key -> params``, floats of explicit dtype.
        actor: ``params -> actor``, what `policy` reads of them; take it out of loops that act.
        policy: one step, see `Policy`.
        policy_and_value: one step, see `PolicyAndValue`; read where there is a memory.
        unroll: whole sequences, see `Unroll`.
        value: of ``[T, N]`` unrelated observations, see `Judge`.
        predict: likewise, the logits of the prediction; None of a network that makes none.
        initial_memory: ``num_envs -> memory``, leaves ``[N, ...]``.
        recurrent: whether there is a memory.
        latents: its features, for representation objectives; None of a network that offers none.
        fresh_memory: the memory before any step, ``num_envs -> memory``, for `unroll` alone, of a network whose `unroll` is
            faster if it knows that nothing was before; by default `initial_memory`. Read through `before_any`.
    """

    init: Callable[[Array], Any]
    actor: Callable[[Any], Any]
    policy: Policy
    policy_and_value: PolicyAndValue
    unroll: Unroll
    value: Judge
    predict: Judge | None = None
    initial_memory: Callable[[int], Any] = no_memory
    recurrent: bool = False
    latents: Latents | None = None
    fresh_memory: Callable[[int], Any] | None = None

    def before_any(self, num_envs: int) -> Any:
        """The memory that `unroll` is given where nothing was before, leaves ``[N, ...]``."""
        return (self.fresh_memory or self.initial_memory)(num_envs)


@runtime_checkable
class MakeNetwork(Protocol):
    """A network's factory: what a learner takes, and what another package offers by entry point."""

    def __call__(
        self, config: NetworkConfig, observation_space: Space, action_space: Space, predictions: int, /
    ) -> Network:
        """The functions of the network.

        Args:
            config: its settings; a network reads of them what means something to it.
            observation_space: of one observation.
            action_space: of one action.
            predictions: logits that the objective wants predicted of each observation; 0 is none.

        Raises:
            ValueError: it can't serve the spaces, the settings, or the predictions.
        """
        ...
