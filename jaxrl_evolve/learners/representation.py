"""How a representation objective is learned beside policy and value: its state, its targets, its part of a gradient step."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from jaxrl_envs.contract import Env
from jaxrl_evolve.experience.minibatches import Minibatches
from jaxrl_evolve.experience.windows import belonging, numbered, windows
from jaxrl_evolve.learners.optimiser import Kind, init_optimiser
from jaxrl_evolve.learners.ppo_config import PPOConfig
from jaxrl_evolve.networks.network import Network
from jaxrl_evolve.objectives import TargetObjective
from jaxrl_evolve.objectives.check import check_metrics, is_the_learners, pair
from jaxrl_evolve.objectives.representation import (
    MakeRepresentation,
    Representation,
    RepresentationBatch,
)
from jaxrl_evolve.objectives.self_predictive import self_predictive
from jaxrl_evolve.random import KeyTag
from jaxrl_evolve.settings.foreign import Refused, told
from jaxrl_evolve.trajectory import Trajectory


@struct.dataclass
class RepresentationState:
    """Of a representation objective, in the learner's state.

    Attributes:
        params: its own parameters.
        optimiser: of these.
        target: slow copy of the network's parameters and of its own, a pair; ``()`` where it would be no other.
    """

    params: Any
    optimiser: Any
    target: Any


class Given(NamedTuple):
    """What the gradient steps of one update read of the objective.

    Attributes:
        trajectory: the rollout in its own order, observations as the network reads them.
        targets: what was made of it, leaves ``[T, N, ...]``.
        steps: numbers of the steps, int32 ``[T, N]``.
    """

    trajectory: Trajectory
    targets: Any
    steps: Int[Array, "T N"]


def chosen_representation(
    config: PPOConfig,
    make: MakeRepresentation | None,
    network: Network,
    env: Env,
    rollout_length: int,
    objective: Any,
) -> Representation | None:
    """What is to be learned besides, if anything.

    Args:
        config: the learner's; ``predicted`` asks for self-prediction.
        make: a factory of one's own.
        network: whose features are learned.
        env: read for its spaces only.
        rollout_length: steps per update ``T``.
        objective: what is minimised otherwise.

    Raises:
        ValueError: two are asked for, it can't serve the network, its windows are longer than a rollout, or its coefficient is
            taken.
    """
    if make is not None and config.predicted:
        raise ValueError(
            f"predicted is {config.predicted}, and a representation is given besides; one is learned, so it must be 0"
        )
    if config.predicted:
        make = self_predictive(config.predicted, config.target_rate, config.shift)
    if make is None:
        return None
    found = make(network, env.observation_space, env.action_space)
    if not isinstance(found, Representation):
        raise Refused(f"representation: its factory gave {told(found)}; it must be a Representation")
    if not 1 <= found.steps <= rollout_length:
        field = "predicted" if config.predicted else f"representation {found.name!r}: steps"
        raise ValueError(f"{field} is {found.steps}; it must be from 1 to rollout_length ({rollout_length})")
    if isinstance(objective, TargetObjective) and objective.predictions:
        raise ValueError(
            f"objective is {objective.name!r}, whose predictions are weighed by prediction_coef, and so would be those of "
            f"representation {found.name!r}; only one of the two can be learned"
        )
    return found


def init_representation(
    representation: Representation | None, kind: Kind, key: Array, params: Any
) -> RepresentationState | tuple[()]:
    """Its state at the beginning, or ``()`` if there is none."""
    if representation is None:
        return ()
    own = representation.init(jax.random.fold_in(key, KeyTag.REPRESENTATION), params)
    target: Any = ()
    if representation.target_rate < 1.0:
        # Other arrays of the same numbers: the state is donated, and no buffer can be twice.
        target = jax.tree.map(jnp.copy, (params, own))
    return RepresentationState(own, init_optimiser(kind, ravel_pytree(own)[0]), target)


def adopted(state: Any, other: Any, params: Any) -> Any:
    """What another run has learned of the same objective, as `Learner.adopt` means it.

    Args:
        state: of this run, or ``()``.
        other: of the other one, or ``()``.
        params: the other network's parameters.
    """
    if not state:
        return ()
    own = other.params if other else state.params
    target = (other and other.target) or (params, own)
    return state.replace(params=own, target=target if state.target else ())


def begun(
    representation: Representation | None, key: Array, state: Any, params: Any, trajectory: Trajectory
) -> tuple[Any, Given | tuple[()]]:
    """The state with the copy renewed, and what the gradient steps need.

    Args:
        representation: the objective, or None.
        key: typed key, of the update.
        state: `RepresentationState`, or ``()``.
        params: the network's, those that acted.
        trajectory: leaves ``[T, N, ...]``, observations as the network reads them.
    """
    if representation is None:
        return state, ()
    rate, makers = representation.target_rate, (params, state.params)
    if rate < 1.0:
        makers = jax.tree.map(lambda old, new: old + rate * (new - old), state.target, makers)
        state = state.replace(target=makers)
    made = representation.targets(
        makers[0], makers[1], trajectory, jax.random.fold_in(key, KeyTag.REPRESENTATION)
    )
    return state, Given(trajectory, jax.lax.stop_gradient(made), numbered(*trajectory.reward.shape))


def step_keys(representation: Representation | None, key: Array, steps: int) -> Any:
    """A key for each gradient step, or ``()`` if nothing would draw by it."""
    if representation is None:
        return ()
    return jax.random.split(jax.random.fold_in(key, KeyTag.REPRESENTATION + 1), steps)


def representation_loss(
    representation: Representation,
    given: Given,
    minibatches: Minibatches,
    rows: Array,
    trained: tuple[Any, Any],
    key: Array,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Loss and metrics of a minibatch, before the coefficient.

    Args:
        representation: the objective.
        given: of `begun`.
        minibatches: how the rollout is cut.
        rows: of this minibatch.
        trained: the network's parameters and its own.
        key: typed key, of this gradient step.
    """
    sources, length = (given.trajectory, given.targets), representation.steps
    # Taken as the learner takes its minibatch, the first steps are the same arrays, and what both compute of them is computed once.
    taken = minibatches.take((given.steps, sources), rows)
    steps, first = jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), taken)
    window, targets = windows(sources, steps, length, first)
    batch = RepresentationBatch(window, belonging(given.trajectory.ended, steps, length), targets)
    who = f"representation {representation.name!r}: loss"
    missed, metrics = pair(who, representation.loss(*trained, batch, key))
    if told(missed) != "float32[]":
        raise Refused(f"{who} gives {told(missed)}; it must be a float32 scalar")
    check_metrics(who, metrics, is_the_learners)
    return missed, metrics
