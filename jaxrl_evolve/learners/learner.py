"""The learner interface: pure functions over a state pytree, in the manner of optax and blackjax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_evolve.clock import Clock
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

Mode = Literal["explore", "sample", "greedy"]
"""How to act: ``explore`` records what training needs; ``sample`` draws and ``greedy`` takes the mode
of the policy for evaluation."""


class Act(Protocol):
    """How a learner acts in ``N`` environments at once."""

    def __call__(
        self, actor: Any, obs: Any, first: Array, memory: Any, key: Array, /, mode: Mode = "explore"
    ) -> tuple[Any, Any, PolicyOutput]:
        """One step.

        Args:
            actor: what `Learner.actor` took out of the state.
            obs: leaves ``[N, ...]``.
            first: bool ``[N]``; memory is cleared where it is set, before ``obs`` is read.
            memory: leaves ``[N, ...]``, or ``()``.
            key: typed key.
            mode: static.

        Returns:
            The action ``[N, ...]``, the new memory, and what the policy says of them, leaves ``[N, ...]``.
        """
        ...


class Update(Protocol):
    """How a learner learns from a rollout."""

    def __call__(
        self, key: Array, state: Any, trajectory: Trajectory, hp: Any, eta: Any, clock: Clock, /
    ) -> tuple[Any, dict[str, Array]]:
        """One update.

        Args:
            key: typed key.
            state: the learner's state.
            trajectory: leaves ``[T, N, ...]``.
            hp: traced hyperparameters.
            eta: parameters of the objective.
            clock: how far the run is, before this update.

        Returns:
            The new state, and metrics: float32 scalars with the same keys on every call, among them ``loss``,
            which is not finite if the update is not to be trusted.
        """
        ...


class UpdateFromStore(Protocol):
    """How a learner with a `Store` learns: like `Update`, with the store, which has the rollout in it already."""

    def __call__(
        self, key: Array, state: Any, trajectory: Trajectory, hp: Any, eta: Any, clock: Clock, store: Any, /
    ) -> tuple[Any, dict[str, Array], Any]:
        """One update; returns state, metrics and the store, with what was written back to it (priorities)."""
        ...


class Store(NamedTuple):
    """Experience that a learner keeps from update to update, such as a replay buffer.

    It lies beside the learner's state, not in it. An update that is not to be trusted is rolled back, for which the
    old state is needed beside the new: of a large buffer that would be a copy at every update. What happened is a
    fact, and needs no rollback.

    Attributes:
        init: ``example -> store``; the example is a `Trajectory` of shapes and dtypes (`jax.ShapeDtypeStruct`),
            leaves ``[T, N, ...]``, as it will be added.
        add: ``(store, trajectory) -> store``. It must write in place what it is given, so that its cost does not
            depend on the store's size.
    """

    init: Callable[[Any], Any]
    add: Callable[[Any, Trajectory], Any]


class Assessment(NamedTuple):
    """What a critic says of a rollout, float32 ``[T, N]``, in units of the reward that was learned from.

    Attributes:
        value: of every observation.
        advantage: of every action, as the learner estimates it.
        td_error: reward and discounted value of the true successor, less the value.
    """

    value: Float[Array, "T N"]
    advantage: Float[Array, "T N"]
    td_error: Float[Array, "T N"]


class Learner(NamedTuple):
    """A learning algorithm for a fixed number of parallel environments.

    Attributes:
        name: for reports.
        init: ``(key, hp) -> state``.
        actor: ``state -> actor``, the part of the state that acting reads; taken once per rollout.
        act: see `Act`.
        update: see `Update`; `UpdateFromStore` where there is a store.
        initial_memory: ``num_envs -> memory`` before the first observation of an episode.
        init_objective: ``key -> eta``, parameters of the objective it was built with.
        default_hp: the traced hyperparameters, a pytree of float32 scalars.
        store: what it keeps of its experience, if it does.
        adopt: ``(state, other) -> state`` with what ``other``, of another run, has learned: parameters and what
            normalises their inputs, all else as ``state`` has it. It moves leaves and computes nothing. None of a
            learner whose runs cannot start from trained weights.
        assess: ``(state, trajectory, hp) -> Assessment``, what its critic says of a rollout of this state. None of a learner
            without a critic of states.
        influence: ``(state, trajectory, hp) -> float32 [N]``, to first order the squared norm of the change of the policy's parameters
            that each slot's rollout causes, up to a factor that is the same for all. None of a learner that does not say.
        group: neighbouring slots that it compares with each other: they play the same task, in episodes that begin with the rollout.
        whole: whether it learns from whole episodes of a rollout alone, so that those that are longer teach nothing.
        guards: whether its updates themselves leave out a step that is not sound and all that would follow, in this update and those to come (``loss``
            is then not finite). Else the state of before each update is kept beside the new one, to go back to: of a large network, a copy that takes time.
        tells: names of metrics of its updates that a curriculum may learn from, such as those of each of its oracles.
    """

    name: str
    init: Callable[[jax.Array, Any], Any]
    actor: Callable[[Any], Any]
    act: Act
    update: Update | UpdateFromStore
    initial_memory: Callable[[int], Any]
    init_objective: Callable[[jax.Array], Any]
    default_hp: Any
    store: Store | None = None
    adopt: Callable[[Any, Any], Any] | None = None
    assess: Callable[[Any, Trajectory, Any], Assessment] | None = None
    influence: Callable[[Any, Trajectory, Any], Array] | None = None
    group: int = 1
    whole: bool = False
    guards: bool = False
    tells: tuple[str, ...] = ()


def paid_otherwise(inner: Learner, name: str, **own: Any) -> Learner:
    """``inner`` with functions of its wrapper, which has it learn from other rewards than the environment's.

    What ``inner`` says of a rollout is left out: it would be of rewards that it never learned from.

    Args:
        inner: the learner inside.
        name: of the wrapper.
        **own: fields of `Learner` that are the wrapper's.
    """
    return inner._replace(**{"assess": None, "influence": None, "guards": False, **own, "name": name})


def traced(hp: Any) -> Any:
    """Hyperparameters as float32 arrays of explicit type, so that no two runs compile differently."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), hp)
