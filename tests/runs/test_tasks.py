"""Tasks per slot: what is played on which, what a curriculum is told, and runs that have one."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk
from same import assert_equal, rows_of

from jaxrl_envs import Arms, Box, Discrete, Env, EnvStep
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import random
from jaxrl_evolve.curricula.table import make_curriculum
from jaxrl_evolve.learners.learner import Learner, Store
from jaxrl_evolve.runs.chunk import make_chunk, make_update
from jaxrl_evolve.runs.tasks import NEW, Assignment, Curriculum
from jaxrl_evolve.training.experiment import build, traced
from jaxrl_evolve.training.held_out import evaluate_levels
from jaxrl_evolve.training.held_out_config import HeldOut
from jaxrl_evolve.training.outcome import sentence
from jaxrl_evolve.training.train import train
from jaxrl_evolve.trajectory import PolicyOutput

N, LENGTH, ARMS = 5, 9, (1, 2, 4)
"""Slots, steps of a rollout, and the arms: lengths of an episode."""


def paced(draws: bool = False) -> Env:
    """Episodes of ``params`` steps; the reward of a step is ``params``, the observation its number."""

    def reset(key: Any, params: Any) -> tuple[Any, Any]:
        del key
        return jnp.zeros((1,), jnp.float32), jnp.zeros((), jnp.int32)

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        del key, action
        state = state + 1
        obs = state[None].astype(jnp.float32)
        return EnvStep(obs, state, params.astype(jnp.float32), state >= params, jnp.bool_(False), {})

    draw = (lambda key: jax.random.randint(key, (), 1, 5, jnp.int32)) if draws else None
    return Env("paced", reset, step, jnp.int32(3), Box(0.0, 9.0, (1,)), Discrete(2), sample_params=draw)


def in_turn(restart: bool = False) -> Curriculum:
    """Arms one after the other, a turn at each proposal; its state counts turns and sums returns by arm."""
    lengths = jnp.asarray(ARMS, jnp.int32)

    def propose(key: Any, state: Any, openings: Any) -> Any:
        assert openings.wanted.shape == openings.playing.shape == openings.drawn.shape == (N,)
        number = (state["turn"] + jnp.arange(N, dtype=jnp.int32)) % len(ARMS)
        return {**state, "turn": state["turn"] + 1}, Assignment(number, lengths[number])

    def record(state: Any, lived: Any) -> Any:
        t, played = lived.played.trajectory, lived.played
        returns = jnp.where(t.ended, played.episode_return, 0.0)
        steps = jnp.where(t.ended, played.episode_length, 0)
        by_arm = lambda x: jax.ops.segment_sum(x.reshape(-1), t.task.reshape(-1), len(ARMS))
        return {
            **state,
            "returns": state["returns"] + by_arm(returns),
            "steps": state["steps"] + by_arm(steps).astype(jnp.float32),
            "episodes": state["episodes"] + by_arm(t.ended.astype(jnp.float32)),
        }

    zeros = jnp.zeros(len(ARMS), jnp.float32)
    state = {"turn": jnp.int32(0), "returns": zeros, "steps": zeros, "episodes": zeros}
    metrics = lambda state: {"turns": state["turn"].astype(jnp.float32)}
    return Curriculum(lambda key: state, propose, record, metrics, restart)


def idle(store: Store | None = None) -> Learner:
    """Learns nothing, counts its updates; its loss is not finite where ``hp`` says so."""

    def act(actor: Any, obs: Any, first: Any, memory: Any, key: Any, mode: Any = "explore") -> Any:
        return jnp.zeros(first.shape, jnp.int32), memory, PolicyOutput(jnp.zeros(first.shape, jnp.float32))

    def update(key: Any, state: Any, t: Any, hp: Any, eta: Any, clock: Any, *held: Any) -> Any:
        loss = jnp.where(state == hp, jnp.nan, 0.0).astype(jnp.float32)
        return state + 1, {"loss": loss}, *held

    nothing = lambda *_: ()
    return Learner(
        "idle", lambda key, hp: jnp.int32(0), lambda s: s, act, update, nothing, nothing, jnp.int32(-1), store
    )


@pytest.mark.parametrize("restart", [False, True])
def test_slots_go_over_to_proposed_tasks_where_their_episodes_end(restart: bool):
    """Against a loop over slots and steps."""
    env, curriculum, seen = paced(), in_turn(restart), []
    spying = curriculum._replace(
        record=lambda state, lived: {**curriculum.record(state, lived), "t": lived.played.trajectory}
    )
    update = make_update(idle(), vectorize(env, N, params_per_slot=True), LENGTH, spying)
    chunk = make_chunk(idle(), vectorize(env, N, params_per_slot=True), LENGTH, curriculum)
    state = chunk.init(random.key(0), jnp.int32(-1), env.params)
    assert state.tasks.running.number.tolist() == [i % len(ARMS) for i in range(N)]
    arms, place = [i % len(ARMS) for i in range(N)], [0] * N
    returns, steps, episodes = np.zeros((3, len(ARMS)))
    collected = np.zeros(N)
    for turn in range(1, 4):
        held = state.tasks.curriculum
        state, metrics, _ = update(state, jnp.int32(-1), (), env.params, jnp.float32(3))
        t = state.tasks.curriculum.pop("t")
        assert metrics["curriculum_turns"] == held["turn"] + 1
        proposed = [(turn + i) % len(ARMS) for i in range(N)]
        if restart:
            arms, place, collected = list(proposed), [0] * N, np.zeros(N)
        for step in range(LENGTH):
            for i in range(N):
                assert t.task[step, i] == arms[i]
                assert t.obs[step, i, 0] == place[i]
                assert t.first[step, i] == (place[i] == 0)
                assert t.reward[step, i] == ARMS[arms[i]]
                collected[i] += ARMS[arms[i]]
                place[i] += 1
                assert t.ended[step, i] == (place[i] == ARMS[arms[i]])
                if place[i] == ARMS[arms[i]]:
                    returns[arms[i]] += collected[i]
                    steps[arms[i]] += place[i]
                    episodes[arms[i]] += 1
                    arms[i], place[i], collected[i] = proposed[i], 0, 0.0
        seen.append(t)
        np.testing.assert_array_equal(state.tasks.running.number, arms)
        np.testing.assert_array_equal(state.tasks.curriculum["returns"], returns)
        np.testing.assert_array_equal(state.tasks.curriculum["steps"], steps)
        np.testing.assert_array_equal(state.tasks.curriculum["episodes"], episodes)
    assert len({tuple(t.task.reshape(-1).tolist()) for t in seen}) == 3


def test_a_curriculum_without_a_choice_changes_nothing():
    """Its randomness is not the agent's, and parameters per slot are the same environment."""
    plain = build(walk.config(updates=3))
    everywhere = lambda x: jnp.broadcast_to(x, (4, *jnp.shape(x)))
    same = Curriculum(
        lambda key: (),
        lambda key, state, openings: (state, Assignment(openings.playing, openings.drawn)),
        lambda state, lived: state,
        lambda state: {},
    )
    venv = vectorize(plain.env, 4, params_per_slot=True)
    chunk = make_chunk(plain.learner, venv, 16, same)
    hp = plain.learner.default_hp
    states = []
    for one in (plain.chunk, chunk):
        state = jax.jit(one.init)(random.key(3), hp, plain.env.params)
        states.append(jax.jit(one.run)(state, hp, (), plain.env.params, jnp.float32(3), jnp.int32(3)))
    (before, metrics), (after, others) = states
    assert_equal(after.tasks.running.params, jax.tree.map(everywhere, plain.env.params))
    assert_equal((before.learner, before.envs, metrics), (after.learner, after.envs, others))


def test_the_state_of_a_run_without_either_seat_has_no_new_leaves():
    """So checkpoints from before fit."""
    experiment = build(walk.config(updates=1))
    state = jax.eval_shape(
        experiment.chunk.init, random.key(0), traced(walk.config().hp), experiment.env.params
    )
    names = {str(path[0]) for path, _ in jax.tree_util.tree_flatten_with_path(state)[0]}
    assert names == {".learner", ".envs", ".key", ".updates", ".diverged"}
    assert not {"curriculum", "curriculum_options"} & set(walk.config().to_json())


def test_a_store_is_given_every_rollout_and_is_no_part_of_what_is_rolled_back():
    env = paced()
    store = Store(
        lambda example: {"rollouts": jnp.int32(0), "last": jnp.zeros(example.obs.shape, example.obs.dtype)},
        lambda store, t: {"rollouts": store["rollouts"] + 1, "last": t.obs},
    )
    learner = idle(store)
    chunk = make_chunk(learner, vectorize(env, N), LENGTH)
    run = jax.jit(chunk.run, donate_argnums=0)
    state = jax.jit(chunk.init)(random.key(0), jnp.int32(2), env.params)
    assert state.store["last"].shape == (LENGTH, N, 1)
    state, _ = run(state, jnp.int32(2), (), env.params, jnp.float32(5), jnp.int32(5))
    # The third update has no finite loss: the learner keeps what it was before it, for good.
    assert (state.learner, state.diverged, state.store["rollouts"]) == (2, 2, 5)
    np.testing.assert_array_equal(state.store["last"][:, 0, 0], [i % 3 for i in range(36, 45)])


def test_an_experience_with_tasks_is_what_a_store_is_made_for():
    env = paced()
    store = Store(lambda example: jnp.zeros(example.task.shape, jnp.int32), lambda store, t: t.task)
    chunk = make_chunk(idle(store), vectorize(env, N, params_per_slot=True), LENGTH, in_turn())
    state = jax.jit(chunk.init)(random.key(0), jnp.int32(-1), env.params)
    state, _ = chunk.run(state, jnp.int32(-1), (), env.params, jnp.float32(1), jnp.int32(1))
    assert state.store[0].tolist() == [i % len(ARMS) for i in range(N)]


def test_domain_randomisation_draws_every_episodes_task():
    env = paced(draws=True)
    curriculum = make_curriculum("random", env, N, {})
    chunk = make_chunk(idle(), vectorize(env, N, params_per_slot=True), LENGTH, curriculum)
    state = chunk.init(random.key(1), jnp.int32(-1), env.params)
    lengths = [np.asarray(state.tasks.running.params)]
    for _ in range(8):
        state, _ = chunk.run(state, jnp.int32(-1), (), env.params, jnp.float32(8), jnp.int32(1))
        lengths.append(np.asarray(state.tasks.running.params))
    assert set(np.concatenate(lengths).tolist()) == {1, 2, 3, 4}
    assert (np.asarray(state.tasks.running.number) == NEW).all()


SMALL = {
    "num_envs": 4,
    "rollout_length": 8,
    "rows": 2,
    "checkpoints": 2,
    "learner": {"minibatches": 1, "epochs": 1, "network": {"hidden": (8,)}},
    "evaluation": walk.config().evaluation,
}


def _gone_on(config: Any, folder: Any) -> Any:
    """The run ``config``, after it was shown that a resumed one is the same."""
    whole = train(config, folder / "whole")
    assert len(whole.eval_return) == 1
    train(config, folder / "cut")
    again = train(config, folder / "cut", resume=True, step=2)
    assert_equal(whole.states, again.states)
    assert whole.summary["eval_return"] == again.summary["eval_return"]
    return whole


def test_a_run_with_a_bandit_resumes_as_it_would_have_gone_on(tmp_path: Any, monkeypatch: Any):
    """And is evaluated on levels that the environment draws, on a probe set, and afterwards arm by arm."""
    from jaxrl_evolve import TrainConfig

    arms = {"curriculum": "sec", "curriculum_options": {"arms": "max_steps=4,8", "temperature": "0.1"}}
    probed = {"evaluation": dataclasses.replace(SMALL["evaluation"], probe=2)}
    config = TrainConfig.preset("ppo", "grid/random-small", steps=4 * 8 * 4, **arms, **SMALL | probed)
    whole = _gone_on(config, tmp_path)
    assert (np.asarray(whole.states[0].tasks.curriculum.bandit) > 0).any()
    rows, again = rows_of(tmp_path / "whole"), rows_of(tmp_path / "cut")
    assert rows == again and [np.shape(row["eval_on_probe"]) for row in rows] == [(1, 2)] * 2
    before, after = (np.array(row["eval_on_probe"][0]) for row in rows)
    np.testing.assert_allclose(rows[1]["eval_forgotten"], [np.maximum(before - after, 0).mean()])
    outcome, told = evaluate_levels(tmp_path / "cut", HeldOut(levels=0, arm_levels=3, episodes=1))
    assert [entry["arm"] for entry in outcome["arms"]] == ["4", "8"] and len(told) == 6
    for entry in outcome["arms"]:
        own = [row for row in told if row["env"] == f"grid/random-small: {entry['arm']}"]
        assert max(row["length"] for row in own) <= int(entry["arm"])
        assert entry["runs"] == pytest.approx([np.mean([row["first"] + row["second"] for row in own]) / 2])
        assert entry["share"] == pytest.approx(rows[1][f"curriculum_share_{entry['arm']}"])
    more = {**arms["curriculum_options"], "arms": "max_steps=4,8,16"}
    said = (
        "curriculum_options.arms is 'max_steps=4,8,16', but the run in .*cut was started with 'max_steps=4,8'"
    )
    with pytest.raises(ValueError, match=said):
        train(dataclasses.replace(config, curriculum_options=more), tmp_path / "cut", resume=True)
    # As where arms that the environment names have changed since.
    others = Arms(("4", "16"), lambda key, arm: arm)
    monkeypatch.setattr("jaxrl_evolve.training.train.arms_of_run", lambda *_: others)
    with pytest.raises(ValueError, match=r"arms 4, 8, but there are now 4, 16 \(16 came and 8 went\)"):
        train(config, tmp_path / "cut", resume=True)


def test_a_run_with_scouts_resumes_as_it_would_have_gone_on_and_counts_what_they_play(tmp_path: Any):
    from jaxrl_evolve import TrainConfig

    # An update is 4 x 8 steps to learn from, and 2 x 8 of scouts; with both, there is a budget for four.
    config = TrainConfig.preset(
        "ppo",
        "grid/random-small",
        steps=4 * (32 + 16) + 40,
        count_scoring=True,
        env_options={"max_steps": "8"},
        curriculum="parallel-plr",
        curriculum_options={"capacity": "6", "new": "2", "score": "pvl"},
        **SMALL | {"evaluation": dataclasses.replace(SMALL["evaluation"], probe=3)},
    )
    whole = _gone_on(config, tmp_path)
    assert (whole.summary["env_steps"], whole.summary["scoring_steps"]) == (4 * 32, 4 * 16)
    assert [row["scoring_steps"] for row in whole.rows] == [2 * 16, 4 * 16]
    assert [np.shape(row["eval_on_probe"]) for row in whole.rows] == [
        (1, 3)
    ] * 2  # levels, as there are no arms
    assert "128 steps per seed and 64 by which levels were only scored" in sentence(whole.summary, "out")


def test_what_does_not_fit_is_refused_in_one_sentence():
    from jaxrl_evolve import TrainConfig

    asked = lambda env, **changes: build(TrainConfig.preset("ppo", env, steps=512, **changes))
    with pytest.raises(ValueError, match=r"curriculum is 'randon', which is not known: did you mean random"):
        asked("grid/random-small", curriculum="randon")
    with pytest.raises(ValueError, match="CartPole-v1 is one task only"):
        asked("CartPole-v1", curriculum="random")
    with pytest.raises(ValueError, match="curriculum_options is {'speed': 3}, which random does not take"):
        asked("grid/random-small", curriculum="random", curriculum_options={"speed": "3"})
    one = dataclasses.replace(walk.config(updates=2).evaluation, probe=4)
    with pytest.raises(
        ValueError, match="evaluation.probe is 4, but tiny/Walk is one task and .*; it must be 0"
    ):
        train(walk.config(updates=2, evaluation=one))
    with pytest.raises(ValueError, match="params_per_slot only FullResets is allowed"):
        asked("grid/random-small", curriculum="random", resets="pool:4")
    with pytest.raises(
        ValueError, match="params_per_slot is False, but a curriculum needs parameters per slot"
    ):
        make_chunk(idle(), vectorize(paced(), N), LENGTH, in_turn())
    with pytest.raises(ValueError, match="params_per_slot is True, but no curriculum needs one set"):
        make_chunk(idle(), vectorize(paced(), N, params_per_slot=True), LENGTH)
