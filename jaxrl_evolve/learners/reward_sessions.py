"""Sessions in which a reward model asks and learns: pairs of segments from replay, labels, gradient steps (Lee et al. 2021, arXiv 2106.05091)."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_envs.contract import Env
from jaxrl_envs.spaces import Discrete
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.experience.held_episodes import draw_episodes
from jaxrl_evolve.experience.layout import Layout
from jaxrl_evolve.experience.normalisation import RunningMoments
from jaxrl_evolve.experience.replay import Replay, Window, draw, starts
from jaxrl_evolve.learners.optimiser import clipped_step, init_optimiser
from jaxrl_evolve.learners.reward_model_config import RewardModelConfig
from jaxrl_evolve.networks.action_values import scaled
from jaxrl_evolve.preferences.comparison import finite, only
from jaxrl_evolve.preferences.episodes import Watch, lived, nothing_lived
from jaxrl_evolve.preferences.oracle import Oracle, label_from
from jaxrl_evolve.preferences.reward_model import Pairs, RewardModel
from jaxrl_evolve.preferences.summary import Summary
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory


@struct.dataclass
class Taught:
    """What a reward model has become.

    Attributes:
        params: of the ensemble, leaves ``[M, ...]``.
        optimiser: Adam's moments.
        moments: of features, by which they are normalised.
        scale: float32 scalar, standard deviation of the ensemble's mean reward when it was last taught.
    """

    params: Any
    optimiser: Any
    moments: RunningMoments
    scale: Float[Array, ""]


@struct.dataclass
class Asked:
    """What was asked, and how far sessions are.

    Attributes:
        pairs: with room for all labels of the run.
        labels: int32 scalar, how many there are.
        sessions: int32 scalar, sessions held.
        loss: float32 scalar, mean over the last session's gradient steps, in nats.
        accuracy: float32 scalar, share of all labels but ties that the ensemble's mean agreed with after the last session.
    """

    pairs: Pairs
    labels: Int[Array, ""]
    sessions: Int[Array, ""]
    loss: Float[Array, ""]
    accuracy: Float[Array, ""]


class Sessions(NamedTuple):
    """What is static.

    Attributes:
        config: of it what is the reward model's.
        env: for its spaces.
        oracle: who prefers.
        watch: what is seen of a segment.
        model: the ensemble.
        start: environment steps before the first session.
    """

    config: RewardModelConfig
    env: Env
    oracle: Oracle
    watch: Watch
    model: RewardModel
    start: int

    @property
    def layout(self) -> Layout:
        """Of a replay buffer, when segments are read."""
        return Layout(self.config.segment)

    def features(self, obs: Array, action: Array) -> Float[Array, "... F"]:
        """Of steps with any axes in front."""
        spaces = (self.env.observation_space, self.env.action_space)
        flat = []
        for space, x in zip(spaces, (obs, action), strict=True):
            ahead = x.shape[: x.ndim - len(space.shape)]
            flat.append(scaled(space, x).reshape((*ahead, -1)))
        return jnp.concatenate(flat, -1)

    def init(self, key: Array) -> Taught:
        """An ensemble that was taught nothing."""
        params = self.model.init(key)
        optimiser = init_optimiser("adam", params)
        return Taught(params, optimiser, RunningMoments.of_shape((self.model.features,)), jnp.ones(()))

    def nothing_asked(self) -> Asked:
        """No label yet."""
        config = self.config
        shape = (config.queries, 2, config.segment)
        pairs = Pairs(
            jnp.zeros((*shape, self.model.features), jnp.float32),
            jnp.zeros(shape, bool),
            jnp.zeros((config.queries,), jnp.float32),
        )
        count = lambda: jnp.zeros((), jnp.int32)
        number = lambda: jnp.zeros((), jnp.float32)
        return Asked(pairs, count(), count(), number(), number())

    def rewards(self, taught: Taught, features: Float[Array, "... F"]) -> Float[Array, ...]:
        """Of steps: the ensemble's mean over its standard deviation at the last session."""
        mean = self.model.rewards(taught.params, taught.moments.normalise(features)).mean(0)
        return mean / jnp.maximum(taught.scale, 1e-3)

    def due(self, asked: Asked, replay: Replay, clock: Clock) -> Int[Array, ""]:
        """How many sessions are to be held in an update."""
        begun = clock.step - self.start
        distance = jnp.maximum(clock.horizon - self.start, 1.0) / self.config.sessions
        planned = jnp.minimum(jnp.floor(begun / distance) + 1.0, self.config.sessions)
        # A whole episode is there once so many steps are as it may take; a segment needs what comes after it as well.
        enough = (
            replay.filled >= self.config.segment if self.config.whole else starts(self.layout, replay) > 0
        )
        there = (begun >= 0) & enough
        return jnp.where(there, planned.astype(jnp.int32) - asked.sessions, 0)

    def hold(
        self, key: Array, taught: Taught, asked: Asked, replay: Replay, due: Int[Array, ""]
    ) -> tuple[Taught, Asked]:
        """So many sessions. A loop of none costs nothing, also where runs are vmapped, which a branch would not."""

        def one(i: Array, now: tuple[Taught, Asked]) -> tuple[Taught, Asked]:
            key_ask, key_teach = jax.random.split(jax.random.fold_in(key, i))
            taught, asked = self.ask(key_ask, *now, replay)
            return self.teach(key_teach, taught, asked)

        return jax.lax.fori_loop(0, due, one, (taught, asked))

    def segments(self, key: Array, replay: Replay, number: int) -> tuple[Array, Array, Summary]:
        """So many, drawn uniformly: features ``[B, L, F]``, which steps are alive ``[B, L]``, and summaries ``[B]``.

        None has a time limit inside, which is no doing of who acts: summaries of such are no numbers. They stand last, so that pairs are
        made of the others. Where whole episodes are drawn, a time limit is an end as any other. Of the last step of an episode a replay buffer keeps the successor only if a time limit cut it, and not for ever; where
        it is not there, what the `Watch` sees in its place is the step's own observation, the last that was lived.
        """
        window, there = self._drawn(key, replay, number)
        ended = jnp.cumsum(window.ended, 1) - window.ended > 0
        last = jnp.where(window.ended.any(1), window.ended.argmax(1), self.config.segment - 1)
        cut = ended.any(1) & ~window.terminated[jnp.arange(number), last] & (not self.config.whole)
        turned = lambda x: jnp.moveaxis(x, 1, 0)
        obs, after = turned(window.frames)[:-1], turned(window.frames)[1:]
        gone = turned(window.ended & (window.terminated | ~window.known[:, None]))
        after = jnp.where(gone.reshape(gone.shape + (1,) * (obs.ndim - 2)), obs, after)
        first = jnp.zeros(obs.shape[:2], bool).at[0].set(True)
        action, reward = turned(window.action), turned(window.reward)
        t = Trajectory(obs, action, reward, first, first, first, after, PolicyOutput(reward))
        _, phi = lived(self.watch, nothing_lived(self.watch, t), t)
        whole = jax.tree.map(lambda x: x[last, jnp.arange(number)], phi)
        features = self.features(*(jnp.moveaxis(x, 0, 1) for x in (obs, action)))
        whole = only(there & ~cut, whole)
        order = jnp.argsort(~finite(whole), stable=True)
        return jax.tree.map(lambda x: x[order], (features, ~ended, whole))

    def _drawn(self, key: Array, replay: Replay, number: int) -> tuple[Window, Bool[Array, ""]]:
        """Stretches to ask about, and whether there are any."""
        if not self.config.whole:
            return draw(self.layout, key, replay, number).window, jnp.ones((), bool)
        drawn, there = draw_episodes(self.layout, key, replay, number)
        return drawn.window, there

    def ask(self, key: Array, taught: Taught, asked: Asked, replay: Replay) -> tuple[Taught, Asked]:
        """Labels of one session more, and those that sessions before it found too few pairs for, as far as there are candidates.

        A pair in which something is no number is not asked about, nor one of whole episodes that are the same.
        """
        config = self.config
        key_draw, key_label = jax.random.split(key)
        many = config.queries // config.sessions
        number = config.candidates * many
        features, alive, phi = self.segments(key_draw, replay, 2 * number)
        fine = finite(phi) & jnp.isfinite(jnp.where(alive[..., None], features, 0.0)).all((1, 2))
        # What comes after an end may be no number, and so may be what is not asked about.
        counted = alive & fine[:, None]
        features = jnp.where(counted[..., None], features, taught.moments.mean)
        taught = dataclasses.replace(taught, moments=taught.moments.merge(features, counted))
        paired = lambda x: x.reshape((number, 2, *x.shape[1:]))
        drawn = Pairs(
            taught.moments.normalise(paired(features)),
            paired(alive),
            jnp.zeros((number,), jnp.float32),
        )
        there, worth = paired(fine).all(1), jnp.zeros((number,))
        if config.whole:
            there &= ~_alike(jax.tree.map(paired, phi))
        if config.select == "disagreement":
            worth = self.model.disagreement(taught.params, drawn)
        _, taken = jax.lax.top_k(jnp.where(there, worth, -1.0), min(number, config.queries))
        one, other = (jax.tree.map(lambda x, i=i: paired(x)[taken, i], phi) for i in (0, 1))
        prob = jax.vmap(lambda a, b: self.oracle.prob(a, b, None))(one, other)
        uniform = jax.random.uniform(key_label, prob.shape, prob.dtype)
        label = prob if config.soft else label_from(self.oracle, uniform, prob)
        there = there[taken] & ~jnp.isnan(label)
        there &= jnp.cumsum(there) <= (asked.sessions + 1) * many - asked.labels
        place = jnp.where(there, asked.labels + jnp.cumsum(there) - 1, config.queries)
        put = lambda room, new: room.at[place].set(new, mode="drop")
        # As they were seen: moments change.
        new = Pairs(paired(features)[taken], drawn.alive[taken], label.astype(jnp.float32))
        pairs = jax.tree.map(put, asked.pairs, new)
        count = asked.labels + there.sum(dtype=jnp.int32)
        return taught, dataclasses.replace(asked, pairs=pairs, labels=count, sessions=asked.sessions + 1)

    def teach(self, key: Array, taught: Taught, asked: Asked) -> tuple[Taught, Asked]:
        """Gradient steps on all labels so far, each member on its own draws of them."""
        config, model = self.config, self.model
        pairs = dataclasses.replace(asked.pairs, features=taught.moments.normalise(asked.pairs.features))
        most = jnp.maximum(asked.labels, 1)
        single = model._replace(members=1)

        def loss(params: Any, place: Int[Array, "M B"]) -> Float[Array, ""]:
            own = lambda params, place: single.losses(
                jax.tree.map(lambda x: x[None], params), jax.tree.map(lambda x: x[place], pairs)
            )
            return jax.vmap(own)(params, place).mean((1, 2)).sum()

        def step(i: Array, now: tuple[Any, Any, Array]) -> tuple[Any, Any, Array]:
            params, optimiser, total = now
            shape = (config.members, config.model_batch)
            place = jax.random.randint(jax.random.fold_in(key, i), shape, 0, most)
            value, gradient = jax.value_and_grad(loss)(params, place)
            move, _, optimiser = clipped_step(
                "adam", optimiser, gradient, config.model_learning_rate, None, 1e-8
            )
            return jax.tree.map(jnp.add, params, move), optimiser, total + value

        start = (taught.params, taught.optimiser, jnp.zeros((), jnp.float32))
        steps = jnp.where(asked.labels > 0, config.model_steps, 0)
        params, optimiser, total = jax.lax.fori_loop(0, steps, step, start)
        told = model.mean_rewards(params, pairs.features)
        known = jnp.arange(config.queries) < asked.labels
        score = jnp.where(pairs.alive, told, 0.0).sum(-1)
        told_first, label = score[:, 0] > score[:, 1], pairs.label
        judged = known & (label != 0.5)
        right = (judged & (told_first == (label > 0.5))).sum() / jnp.maximum(judged.sum(), 1)
        weight = pairs.alive & known[:, None, None]
        return dataclasses.replace(
            taught, params=params, optimiser=optimiser, scale=_deviation(told, weight)
        ), dataclasses.replace(
            asked,
            loss=total / jnp.maximum(steps * config.members, 1),
            accuracy=right.astype(jnp.float32),
        )


def _alike(pairs: Any) -> Bool[Array, " P"]:
    """Of leaves ``[P, 2, ...]``, which pairs are of two that are the same in all."""
    same = [(x[:, 0] == x[:, 1]).reshape(x.shape[0], -1).all(1) for x in jax.tree.leaves(pairs)]
    return jnp.stack(same).all(0)


def features_of(env: Env) -> int:
    """How many a step has: of the observation and the action, flat.

    Raises:
        ValueError: observations are stacks of frames.
    """
    if env.stack.frames > 1:
        raise ValueError(
            f"observations are stacks of {env.stack.frames} frames; a reward model takes single observations"
        )
    size = lambda space: space.n if isinstance(space, Discrete) else int(np.prod(space.shape))
    return size(env.observation_space) + size(env.action_space)


def _deviation(x: Array, weight: Bool[Array, ...]) -> Float[Array, ""]:
    """Of what has weight; 1 of nothing."""
    count = weight.sum()
    mean = jnp.where(weight, x, 0.0).sum() / jnp.maximum(count, 1)
    square = jnp.where(weight, jnp.square(x - mean), 0.0).sum() / jnp.maximum(count, 1)
    return jnp.where(count > 0, jnp.sqrt(square), 1.0)
