"""A bandit in the seat of a curriculum: it draws an arm for every slot, and is told what came of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from jaxrl_envs.contract import Arms, Env
from jaxrl_evolve.curricula.arms.arms import arms_of
from jaxrl_evolve.curricula.arms.bandit import Bandit, Feedback, Hyperparameters, draw, filled
from jaxrl_evolve.curricula.arms.choice import perplexity
from jaxrl_evolve.curricula.arms.options import check_shape, check_signal, flags, limits, prices
from jaxrl_evolve.curricula.arms.table import bandit_of, find_method
from jaxrl_evolve.curricula.signals import Signal, Sums, find_signal
from jaxrl_evolve.curricula.statistics import by_number, columns, extremes, success_rule
from jaxrl_evolve.runs.chunk import Lived
from jaxrl_evolve.runs.tasks import Assignment, Curriculum, Openings

MEMORY = 0.95
"""What is left after an update of the shares of draws, of lengths and of successes that are reported."""
SHOWN = 32
"""Up to so many arms each has metrics of its own."""


@struct.dataclass
class Seated:
    """State of a curriculum of arms; float32 ``[arms]`` but for the bandit's.

    Attributes:
        bandit: the method's state.
        key: for what the method draws when it learns.
        share: of the draws lately.
        seen: bool, whether an episode of the arm has ended yet; until then the others are 0.
        before: mean return when the arm was last seen.
        length: mean length of its episodes lately.
        success: share of successes lately; 0 where nobody says what a success is.
    """

    bandit: Any
    key: Array
    share: Float[Array, " arms"]
    seen: Bool[Array, " arms"]
    before: Float[Array, " arms"]
    length: Float[Array, " arms"]
    success: Float[Array, " arms"]


class Setup(NamedTuple):
    """What a curriculum of arms is made of.

    Attributes:
        arms: the arms.
        bandit: the method.
        hp: its numbers; they may be traced.
        signal: what it learns from.
        success: what a success is, of what `seated` is told; None if nobody says.
        available: bool ``[arms]``.
        costs: float32 ``[arms]``, by which rewards are divided; None for none, ``"steps"`` for the lengths of episodes.
    """

    arms: Arms
    bandit: Bandit
    hp: Hyperparameters
    signal: Signal
    success: Callable[[Any], Array] | None
    available: Any
    costs: Any = None


def arm_curriculum(
    method: str,
    env: Env,
    num_envs: int,
    arms: str | Arms = "",
    signal: str = "",
    threshold: float | Sequence[float] | None = None,
    costs: str | Sequence[float] = "",
    available: Sequence[Any] = (),
    **options: Any,
) -> Curriculum:
    """A curriculum of arms by the name of its method.

    Args:
        method: in `table.METHODS`.
        env: whose tasks are chosen.
        num_envs: not read.
        arms: the arms, or text for `arms_of`; those of the environment by default.
        signal: what the method learns from, in `signals.SIGNALS`; the method's own by default.
        threshold: return from which on an episode is a success, or one for each arm; what the environment reports as
            ``success`` by default.
        costs: by which rewards are divided, one for each arm; ``"steps"`` for the mean lengths of their episodes.
        available: whether each arm may be drawn; all by default.
        **options: numbers and static options of the method.

    Raises:
        ValueError: naming the option, its value, and what is allowed.
    """
    del num_envs
    found = arms if isinstance(arms, Arms) else arms_of(env, str(arms))
    success = success_rule(env, limits(threshold, len(found.names)))
    setup = setup_of(method, found, success, options, signal, costs, available)
    if setup.signal.success and success is None:
        raise ValueError(
            f"curriculum {method!r} learns from successes, which {env.name} does not report: say from which return on an episode "
            "is one, --curriculum_options threshold NUMBER"
        )
    return seated(setup)


def setup_of(
    method: str,
    arms: Arms,
    success: Callable[[Any], Array] | None,
    options: Mapping[str, Any],
    signal: str = "",
    costs: str | Sequence[float] = "",
    available: Sequence[Any] = (),
) -> Setup:
    """A setup by the name of its method.

    Args:
        method: in `table.METHODS`.
        arms: the arms.
        success: what a success is; None if nobody says. Whether the signal needs it is not asked.
        options: numbers and static options of the method.
        signal: as in `arm_curriculum`.
        costs: as there.
        available: as there.

    Raises:
        ValueError: naming the option, its value, and what is allowed.
    """
    count = len(arms.names)
    chosen = find_signal(signal or find_method(method).signal)
    check_signal(method, signal, costs, chosen)
    for name, value in options.items():
        if isinstance(value, list | tuple) and value:
            check_shape(name, value, count)
    bandit, hp = bandit_of(method, options)
    return Setup(arms, bandit, hp, chosen, success, flags(available, count), prices(costs, count))


def seated(setup: Setup, sums: Callable[[Setup, Seated, Any], Sums] | None = None) -> Curriculum:
    """The curriculum that a setup makes; pure, and vmapped over seeds as any.

    Args:
        setup: what it is made of.
        sums: ``(setup, state, outcome) -> sums`` as `feedback_of` reads them, for outcomes that are no rollouts of training.
    """
    arms = len(setup.arms.names)
    read = sums or _sums
    available = jnp.asarray(setup.available, bool)

    def init(key: Array) -> Seated:
        zeros, nobody = filled(arms), jnp.zeros((arms,), bool)
        return Seated(setup.bandit.init(arms, setup.hp), key, zeros, nobody, zeros, zeros, zeros)

    def propose(key: Array, state: Seated, openings: Openings) -> tuple[Seated, Assignment]:
        key_arms, key_tasks, key_kept = jax.random.split(key, 3)
        (n,) = openings.wanted.shape
        number = draw(setup.bandit, key_arms, state.bandit, available, setup.hp, n)
        params = jax.vmap(setup.arms.sample)(jax.random.split(key_tasks, n), number)
        drawn = (number[:, None] == jnp.arange(arms)).mean(0, dtype=jnp.float32)
        first = state.share.sum() == 0
        share = jnp.where(first, drawn, MEMORY * state.share + (1.0 - MEMORY) * drawn)
        return replace(state, key=key_kept, share=share), Assignment(number, params)

    def record(state: Seated, outcome: Any) -> Seated:
        feedback, state = feedback_of(setup, state, read(setup, state, outcome), available)
        return replace(state, bandit=setup.bandit.update(state.key, state.bandit, feedback, setup.hp))

    def metrics(state: Seated) -> dict[str, Array]:
        return _metrics(setup, state, available)

    told = tuple(name for column in setup.signal.told for name in _of_arms(setup, column))
    return Curriculum(init, propose, record, metrics, critic=setup.signal.critic, told=told)


def _of_arms(setup: Setup, what: str) -> list[str]:
    """What a metric of each arm is called."""
    return [f"{what}_{name.replace(' ', '_')}" for name in setup.arms.names]


def _sums(setup: Setup, state: Seated, lived: Lived) -> Sums:
    """All that is read of a rollout, by arm."""
    signal, arms = setup.signal, len(setup.arms.names)
    also = ("successes",) if setup.success is not None else ()
    reads = dict.fromkeys(("episodes", "returns", "lengths", *also, *signal.reads))
    number = lived.played.trajectory.task
    sums: dict[str, Array] = {**by_number(columns(lived, [*reads], setup.success), number, arms)}
    if signal.extremes:
        sums["best"], sums["worst"] = extremes(lived, number, arms)
    for column in signal.told:
        sums[column] = jnp.stack([lived.metrics[name] for name in _of_arms(setup, column)])
    return {**sums, "before": state.before, "seen": state.seen}


def feedback_of(setup: Setup, state: Seated, sums: Sums, available: Array) -> tuple[Feedback, Seated]:
    """What the bandit is told, and the state with what is remembered of the arms.

    Args:
        setup: of the curriculum.
        state: its state.
        sums: float32 ``[arms]``: ``episodes``, ``returns``, ``lengths``, what the signal reads, and ``successes`` if anybody says
            what a success is.
        available: bool ``[arms]``.
    """
    signal, episodes = setup.signal, sums["episodes"]
    ended = episodes > 0
    mean = lambda name: sums[name] / jnp.maximum(episodes, 1.0)
    blend = lambda old, new: jnp.where(
        ended, jnp.where(state.seen, MEMORY * old + (1.0 - MEMORY) * new, new), old
    )
    length, success = blend(state.length, mean("lengths")), state.success
    if setup.success is not None:
        success = blend(success, mean("successes"))
    reward = signal.value(sums)
    if setup.costs is not None:
        costs = length if isinstance(setup.costs, str) else setup.costs
        reward = reward / _relative(costs, available)
    count = jnp.where((sums[signal.counts] >= signal.least) & jnp.isfinite(reward), sums[signal.counts], 0.0)
    if signal.critic:  # steps of one rollout are not so many independent draws
        count = (count > 0).astype(jnp.float32) * jnp.maximum(episodes, 1.0)
    before = jnp.where(ended, mean("returns"), state.before)
    state = replace(state, seen=state.seen | ended, before=before, length=length, success=success)
    return Feedback(jnp.where(count > 0, reward, 0.0), count, available), state


def _relative(costs: Any, available: Array) -> Array:
    """Costs over their mean; of arms whose cost is not known yet, the mean."""
    costs = jnp.asarray(costs, jnp.float32)
    known = available & (costs > 0)
    mean = jnp.where(known, costs, 0.0).sum() / jnp.maximum(known.sum(), 1)
    return jnp.where(known, costs / jnp.where(mean > 0, mean, 1.0), 1.0)


def _metrics(setup: Setup, state: Seated, available: Array) -> dict[str, Array]:
    share, names = state.share, setup.arms.names
    fair = 1.0 / available.sum()
    made = {
        "effective_arms": perplexity(share),
        "least_share": jnp.where(available, share, 1.0).min(),
        "starved_arms": (available & (share < 0.1 * fair)).sum(dtype=jnp.float32),
    }
    if len(names) <= SHOWN:
        made |= dict(zip(_of_arms(setup, "share"), share, strict=True))
        if setup.success is not None:
            made |= dict(zip(_of_arms(setup, "success"), state.success, strict=True))
    return made
