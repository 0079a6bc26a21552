"""Learning from whole completions that are compared with others of the same prompt; see `learners.sequence_config` for what is a setting.

Neighbouring slots answer the same prompt, with episodes that begin with the rollout (`Learner.group`). What each completion is worth, its return or its win
rate within the group, is found once, and gradient steps are made on minibatches of whole groups.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from jaxrl_envs.contract import TAUGHT, Env
from jaxrl_evolve.clock import Clock, linear_schedule
from jaxrl_evolve.experience.completions import Completions, completions_of, over_steps
from jaxrl_evolve.experience.minibatches import permutation
from jaxrl_evolve.learners.learner import Assessment, Learner
from jaxrl_evolve.learners.optimiser import clipped_step
from jaxrl_evolve.learners.reference import follow
from jaxrl_evolve.learners.sequence_acting import (
    Parts,
    SequenceState,
    act,
    act_mixed,
    actor_of,
    init_state,
    initial_memory,
    look_on,
)
from jaxrl_evolve.learners.sequence_answers import answers_of, log_probs
from jaxrl_evolve.learners.sequence_checks import (
    check_axes,
    check_groups,
    check_length,
    check_mixture,
    check_teacher,
)
from jaxrl_evolve.learners.sequence_config import (
    POLICY_GRADIENTS,
    SequenceConfig,
    SequenceHyperparameters,
)
from jaxrl_evolve.learners.sequence_losses import NO_SPREAD, Answers, advantages, loss_of, spread
from jaxrl_evolve.learners.sequence_revisions import check_revisions, log_probs_after
from jaxrl_evolve.learners.spo_environment import example_of, judge
from jaxrl_evolve.networks.network import MakeNetwork
from jaxrl_evolve.networks.table import make_network
from jaxrl_evolve.objectives.objective import AnyObjective
from jaxrl_evolve.preferences.episodes import Watch
from jaxrl_evolve.preferences.oracle import Oracle
from jaxrl_evolve.settings.checks import check
from jaxrl_evolve.trajectory import Trajectory


def _taken(parts: Parts, t: Any, answers: Answers, rows: Array) -> tuple[Any, Answers]:
    """The steps and completions of some groups."""
    if parts.config.minibatches == 1:
        return t, answers
    slots = (rows[:, None] * parts.config.group + jnp.arange(parts.config.group)).ravel()
    steps = lambda tree: jax.tree.map(lambda x: x[:, slots], tree)
    of_groups = ("whole", "length", "worth", "labels", "axes", "revisions")
    own = {name: jax.tree.map(lambda x: x[rows], getattr(answers, name)) for name in of_groups}
    others = {
        name: steps(getattr(answers, name))
        for name in ("old", "reference", "number", "asked", "past", "base")
    }
    return steps(t), Answers(**own, **others)


def _after(parts: Parts, params: Any, answers: Answers) -> Any:
    """Log-probabilities of revisions, where there are any."""
    if parts.config.loss != "srpo":
        return ()
    read = answers.revisions
    return log_probs_after(parts.network, params, read.obs, read.action)


def _update(
    parts: Parts, key: Array, state: SequenceState, t: Trajectory, hp: Any, eta: Any, clock: Clock
) -> tuple[SequenceState, dict[str, Array]]:
    del eta
    config, groups = parts.config, parts.num_envs // parts.config.group
    key_labels, key_order = jax.random.split(key)
    found = completions_of(t, config.completions)
    answers, queries = answers_of(parts, key_labels, state, t, found)
    rate = linear_schedule(clock, hp.learning_rate, hp.learning_rate_end)
    if config.loss == "sppo":
        hp = dataclasses.replace(hp, eta=step_of(config, hp, clock))
    names = list[str]()
    seen = (t.obs, t.first, t.info[TAUGHT] if config.loss == "imitate" else t.action)

    def step(carry: tuple[Any, Any], rows: Array) -> tuple[tuple[Any, Any], Array]:
        params, optimiser = carry
        some, mine = _taken(parts, seen, answers, rows)

        def loss(params: Any) -> tuple[Array, dict[str, Array]]:
            after = _after(parts, params, mine)
            return loss_of(config, hp, *log_probs(parts, params, *some), mine, after)

        (total, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        move, size, optimiser = clipped_step(
            config.optimiser, optimiser, gradient, rate, hp.max_grad_norm, hp.adam_eps
        )
        metrics = {"loss": total, "grad_norm": size, **metrics}
        names[:] = list(metrics)
        return (optax.apply_updates(params, move), optimiser), jnp.stack(list(metrics.values()))

    keys = jax.random.split(key_order, config.epochs)
    order = jax.vmap(lambda k: permutation(k, groups))(keys)
    rows = order.reshape((config.epochs * config.minibatches, -1))
    start = state.params
    if config.extragradient:  # the half step is gone back on
        odd = state.updates % 2 == 1
        start = jax.tree.map(lambda now, before: jnp.where(odd, before, now), start, state.past.actor)
    (params, optimiser), history = jax.lax.scan(step, (start, state.optimiser), rows)
    metrics = dict(zip(names, history.mean(0), strict=True))
    metrics |= _told(config, found, answers, rate)
    updates, asked = state.updates + 1, state.queries.plus(queries)
    if config.asks:
        metrics["queries"] = asked.total
    reference = state.reference
    if config.reference != "rollout":
        kind, every = config.reference, config.reference_every
        reference = follow(kind, reference, params, hp.reference_rate, every, updates, clock)
    past = state.past
    if config.past == "before":
        past = follow("every", past, state.params, 0.0, 1, updates, clock)
    elif config.past == "every":
        past = follow("every", past, params, 0.0, config.past_every, updates, clock)
    return SequenceState(params, optimiser, reference, updates, asked, state.share, past), metrics


def step_of(config: SequenceConfig, hp: Any, clock: Clock) -> Array:
    """SPPO's step, `eta`, at a time: falling to a share of it in a straight line, or as ``1 / sqrt(1 + c t)``."""
    if config.eta_schedule == "line":
        return linear_schedule(clock, hp.eta, hp.eta_end)
    kept = jnp.square(hp.eta_end)
    below = kept + clock.fraction * (1.0 - kept)
    return hp.eta * jnp.where(below > 0.0, hp.eta_end / jnp.sqrt(jnp.where(below > 0.0, below, 1.0)), 1.0)


def _told(config: SequenceConfig, found: Completions, answers: Answers, rate: Array) -> dict[str, Array]:
    """What the completions were like: float32 scalars."""
    count = jnp.maximum(found.whole.sum(), 1).astype(jnp.float32)
    told = {
        "learning_rate": jnp.asarray(rate, jnp.float32),
        "completion_length": found.length.sum() / count,
        "unfinished": 1.0 - found.whole.mean(dtype=jnp.float32),
        "steps_used": (found.number < found.whole.shape[1]).mean(dtype=jnp.float32),
    }
    if _group(config) == 1:
        return told
    return told | {
        "groups_that_differ": (spread(answers.worth, answers.whole) > NO_SPREAD).mean(dtype=jnp.float32)
    }


def _group(config: SequenceConfig) -> int:
    """Neighbours that answer the same prompt: where a teacher does, all have their own."""
    return 1 if config.loss == "imitate" else config.group


def _assess(parts: Parts, state: SequenceState, t: Trajectory, hp: Any) -> Assessment:
    """The group in the place of a critic: its mean return as value, and GRPO's advantage, or the one that is learned by, at every step."""
    del state, hp
    config, most = parts.config, parts.config.completions
    found = completions_of(t, most)
    in_groups = (parts.num_envs // _group(config), -1)
    worth, whole = found.total.reshape(in_groups), found.whole.reshape(in_groups)
    kind = config.advantage if config.loss in POLICY_GRADIENTS and config.advantage != "half" else "standard"
    steps = lambda x: over_steps(x.reshape(found.whole.shape), found.number)
    mean = jnp.where(whole, worth - advantages("mean", worth, whole), 0.0)
    value = steps(mean)
    last = t.ended & (found.number < most)
    error = jnp.where(last, steps(worth) - value, 0.0)
    return Assessment(value, steps(advantages(kind, worth, whole)), error)


def _adopt(state: SequenceState, other: SequenceState) -> SequenceState:
    renewed = lambda policy: dataclasses.replace(policy, actor=other.params) if policy else ()
    return dataclasses.replace(
        state, params=other.params, reference=renewed(state.reference), past=renewed(state.past)
    )


def sequence(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: SequenceConfig | None = None,
    hp: SequenceHyperparameters | None = None,
    objective: AnyObjective | None = None,
    oracle: Oracle | None = None,
    watch: Watch | None = None,
    network: MakeNetwork | None = None,
) -> Learner:
    """A learner that compares completions of one prompt.

    Args:
        env: read for its spaces; each of its episodes is one prompt and its completion.
        num_envs: slots ``N``, groups of ``config.group``.
        rollout_length: steps per update ``T``; episodes that are longer are never learned from.
        config: static settings.
        hp: default hyperparameters.
        objective: none; here for the signature that algorithms have.
        oracle: who prefers; the one that ``config.preference`` names by default.
        watch: what is seen of an episode, see `learners.spo.self_play`.
        network: factory of the policy; the one that ``config.network.kind`` names by default.

    Raises:
        ValueError: a setting is not allowed, groups or minibatches do not divide what they are of, the network cannot serve the spaces, an objective was
            given, or the oracle is none.
    """
    config = SequenceConfig() if config is None else config
    hp = SequenceHyperparameters() if hp is None else hp
    check(config, "config")
    check(hp, "hp")
    if objective is not None:
        raise ValueError(
            f"objective is {objective.name!r}; a learner of completions reads none: its losses are learner.loss"
        )
    check_groups(config, num_envs)
    check_teacher(config, env)
    check_length(env, rollout_length)
    check_mixture(config, hp)
    check_revisions(config, env, rollout_length)
    net = make_network(config.network, env.observation_space, env.action_space, 0, network)
    watch = Watch(rollout_length) if watch is None else watch
    if config.asks:
        oracle = judge(config, oracle, watch, example_of(env, num_envs))
    check_axes(config, watch, env)
    parts = Parts(config, num_envs, net, oracle, watch)
    acts = look_on if config.loss == "imitate" else act if config.mixed == "none" else act_mixed
    return Learner(
        name="sequence",
        init=partial(init_state, parts),
        actor=partial(actor_of, parts),
        act=partial(acts, parts),
        update=partial(_update, parts),
        initial_memory=partial(initial_memory, parts),
        init_objective=lambda key: (),
        default_hp=hp,
        adopt=_adopt,
        assess=partial(_assess, parts),
        group=_group(config),
        whole=True,
    )
