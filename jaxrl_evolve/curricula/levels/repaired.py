"""REPAIRED (Jiang et al. 2021, arXiv 2110.02439): PAIRED whose students learn from replayed levels only.

Each student has a buffer of its own, of the levels that the adversary built. In every update both learn from levels of their buffers
(robust PLR) and only play the new ones, by whose regret the adversary learns. The paper does the one or the other, by a coin.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from jaxrl_envs.contract import Env
from jaxrl_evolve.curricula.level_replay import shapes
from jaxrl_evolve.curricula.levels.duel import (
    DUEL,
    Duel,
    DuelState,
    built,
    duel_for,
    duel_metrics,
    duel_options,
    judged,
    keys_of,
    opened,
    require_builder,
    returns_on,
    rival,
    schooled,
)
from jaxrl_evolve.curricula.levels.options import options_of
from jaxrl_evolve.curricula.levels.plr import SCOUTED
from jaxrl_evolve.curricula.levels.replay import LevelState, level_curriculum
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.runs.lived import Lived
from jaxrl_evolve.runs.tasks import NEW, Assignment, Curriculum, Openings, Scouts, unfitted


@struct.dataclass
class RepairedState:
    """State of the curriculum.

    Attributes:
        duel: who takes part.
        built: the adversary's levels of this update, leaves ``[n, ...]``.
        returns: float32 ``[n]``, the antagonist's on them.
        protagonist: buffer of the learner of the run.
        antagonist: buffer of the other.
    """

    duel: DuelState
    built: Any
    returns: Float[Array, " n"]
    protagonist: LevelState
    antagonist: LevelState


def repaired(env: Env, num_envs: int, **options: Any) -> Curriculum:
    """REPAIRED: both students learn from replayed levels; the adversary builds a level for each slot, which they play to score it.

    Until the buffers are filled enough there is nothing to replay, and they learn from the adversary's new levels.

    Args:
        env: a family of levels with a builder.
        num_envs: slots.
        **options: of `DuelOptions`, and as of `parallel_plr` but for ``new`` and ``scout_steps``.

    Raises:
        ValueError: an option is not known or not allowed, or the environment lacks what is needed.
    """
    builder = require_builder("repaired", env)
    asked = duel_options("repaired", options, SCOUTED)
    of_buffers = {name: value for name, value in options.items() if name not in DUEL}
    made = options_of("repaired", of_buffers, SCOUTED, replay_probability=1.0, new=num_envs)
    seat = level_curriculum("repaired", env, made)

    def made_for(learner: Learner, rollout_length: int) -> Curriculum:
        duel = duel_for("repaired", env, num_envs, asked, learner, rollout_length)
        steps = num_envs * (builder.steps + 2 * rollout_length)
        return _seated(duel, seat)._replace(
            critic=seat.critic, influence=seat.influence, steps=steps, episodes=seat.episodes
        )

    return unfitted("repaired", made_for)


def _seated(duel: Duel, seat: Curriculum) -> Curriculum:
    """The curriculum of a duel, with the buffer of ``seat`` for each student."""
    assert seat.scouts is not None
    scored, nobody = seat.scouts.record, jnp.full((duel.count,), NEW, jnp.int32)

    def init(key: Array) -> RepairedState:
        keys = jax.random.split(key, 3)
        nothing = jax.tree.map(lambda x: jnp.zeros((duel.count, *x.shape), x.dtype), shapes(duel.env.params))
        returns = jnp.zeros((duel.count,), jnp.float32)
        return RepairedState(opened(duel, keys[0]), nothing, returns, seat.init(keys[1]), seat.init(keys[2]))

    def propose(key: Array, state: RepairedState, openings: Openings) -> tuple[RepairedState, Assignment]:
        duelling, levels = built(duel, key, state.duel)
        mine, given = seat.propose(keys_of(key).draws, state.protagonist, openings._replace(drawn=levels))
        return replace(state, duel=duelling, built=levels, protagonist=mine), given

    def record(state: RepairedState, lived: Lived) -> RepairedState:
        """Both students' buffers after what they learned from; the antagonist plays the new levels, too, and learns."""
        terms, keys = lived.terms, keys_of(state.duel.key)
        assert terms is not None
        mine = seat.record(state.protagonist, lived)
        openings = Openings(state.built, nobody == NEW, nobody)
        theirs, given = seat.propose(keys.rival_draws, state.antagonist, openings)
        trained = rival(duel, (keys.resets, keys.acting), state.duel, given, terms)
        new = Assignment(nobody, state.built)
        scouted = rival(duel, (keys.scout_resets, keys.scout_acting), state.duel, new, terms)
        theirs = scored(seat.record(theirs, trained), scouted)
        returns = returns_on(scouted, duel.options.regret)
        duelling = schooled(duel, state.duel, trained, terms)
        return RepairedState(duelling, state.built, returns, mine, theirs)

    def scout(key: Array, state: RepairedState, lived: Lived) -> tuple[RepairedState, Assignment]:
        del key, lived
        return state, Assignment(nobody, state.built)

    def told(state: RepairedState, lived: Lived) -> RepairedState:
        """The protagonist has played the new levels, too, and they are judged."""
        assert lived.terms is not None
        returns = returns_on(lived, "mean"), state.returns
        duelling = judged(duel, state.duel, *returns, lived.terms)
        return replace(state, duel=duelling, protagonist=scored(state.protagonist, lived))

    def metrics(state: RepairedState) -> dict[str, Array]:
        return {**seat.metrics(state.protagonist), **duel_metrics(state.duel)}

    scouts = Scouts(duel.count, 0, scout, told)
    return Curriculum(init, propose, record, metrics, restart=True, scouts=scouts)
