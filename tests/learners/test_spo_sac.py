"""SPO on SAC: what steps in replay are paid against NumPy, what it learns, and that a resumed run goes on."""

from __future__ import annotations

import dataclasses
from collections import deque
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from same import assert_equal

from jaxrl_envs import make
from jaxrl_envs.vector import vectorize
from jaxrl_envs.wrappers import frame_stack
from jaxrl_evolve import PolicyOutput, TrainConfig, Trajectory, make_chunk, random
from jaxrl_evolve.experience.layout import Layout
from jaxrl_evolve.experience.relabelling import Relabelled
from jaxrl_evolve.experience.replay import Drawn, add, init_replay, read
from jaxrl_evolve.learners.learner import Store
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.spo_sac import self_play_from_replay, spo_sac
from jaxrl_evolve.learners.spo_sac_config import SPOSACConfig, SPOSACHyperparameters
from jaxrl_evolve.learners.spo_store import Judge
from jaxrl_evolve.learners.spo_time import Timed, Timekeeper
from jaxrl_evolve.preferences.episodes import Watch
from jaxrl_evolve.preferences.oracles import max_reward
from jaxrl_evolve.training.config import EvaluationConfig
from jaxrl_evolve.training.experiment import traced
from jaxrl_evolve.training.train import train

ENVS, LENGTH, ROWS, UPDATES, QUEUE, KEPT, SCALE = 3, 2, 16, 14, 4, 5, 6.0
TINY = SPOSACConfig(
    capacity=512,
    batch=32,
    gradient_steps=8,
    warm_up=32,
    hidden=(16,),
    horizon=1,
    check_oracle=False,
    number=16,
)


def lives() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rewards, first steps, last steps and times ``[steps, ENVS]`` of episodes of one to six steps; one has a reward that is no number."""
    rng, steps = np.random.default_rng(3), UPDATES * LENGTH
    first, ended, time = (
        np.zeros((steps, ENVS), bool),
        np.zeros((steps, ENVS), bool),
        np.zeros((steps, ENVS), int),
    )
    for slot in range(ENVS):
        at = 0
        while at < steps:
            long = int(rng.integers(1, 7))
            first[at, slot] = True
            time[at : at + long, slot] = np.arange(long)[: steps - at]
            if at + long <= steps:
                ended[at + long - 1, slot] = True
            at += long
    reward = rng.normal(size=(steps, ENVS)).astype(np.float32)
    reward[np.flatnonzero(ended[:, 1])[2], 1] = np.nan
    return reward, first, ended, time


def replayed(judge: Judge, segment: int = 0) -> Any:
    """The store after every update, with the rewards and whether they are known of all places in the buffer."""
    layout = Layout(1)
    inner = Store(lambda like: init_replay(layout, like, ROWS * ENVS), partial(add, layout))
    keeper = Timekeeper(cast(Any, None), 8, False, segment)
    reward, first, ended, time = lives()

    def rollout(u: int) -> Trajectory:
        part = slice(u * LENGTH, (u + 1) * LENGTH)
        r, end = jnp.asarray(reward[part]), jnp.asarray(ended[part])
        said = PolicyOutput(r, memory=Timed((), jnp.asarray(time[part], jnp.int32)))
        obs = jnp.zeros((*r.shape, 2))
        return Trajectory(obs, obs, r, jnp.zeros_like(end), end, jnp.asarray(first[part]), obs, said)

    @jax.jit
    def one(store: Any, key: Any, t: Trajectory) -> Any:
        store = judge.add(inner, keeper, store, t)
        store, metrics = judge.judge(key, store, keeper.pieces(t)[1])
        place = jnp.arange(ROWS * ENVS, dtype=jnp.int32)
        drawn = Drawn(read(layout, store.replay, place), place, jnp.ones(place.shape))
        held = Relabelled(store.replay, (store, jnp.float32(SCALE)), judge.ready(store))
        told = judge.relabel(random.key(0), drawn, held)
        return store, metrics, told

    store = judge.init(inner, keeper, jax.eval_shape(lambda: rollout(0)))
    for u in range(UPDATES):
        store, metrics, told = one(store, random.key(u), rollout(u))
        yield store, metrics, told


class Episode:
    """One that ended, and what it was paid last."""

    def __init__(self, slot: int, number: int, steps: list[int], total: float, born: int):
        self.slot, self.number, self.steps, self.total, self.born = slot, number, steps, total, born
        self.payoff: float | None = None

    def against(self, queue: Any) -> float | None:
        others = [o for o in queue if o is not self]
        if not others or np.isnan(self.total):
            return None
        return float(np.mean([np.sign(self.total - o.total) for o in others]))


def by_hand(again: int, at_sample: bool, pay: str, segment: int = 0) -> Any:
    """The same with lists: rewards by place, None where they are not known, and the queries so far."""
    reward, _, ended, time = lives()
    if segment:
        ended = ended | ((time + 1) % segment == 0)
    queue: Any = deque(maxlen=QUEUE)
    every: list[list[Episode]] = [[] for _ in range(ENVS)]
    begun, queries = [0] * ENVS, 0
    for u in range(UPDATES):
        for step in range(u * LENGTH, (u + 1) * LENGTH):
            for slot in np.flatnonzero(ended[step]):
                own = list(range(begun[slot], step + 1))
                one = Episode(slot, len(every[slot]), own, float(reward[own, slot].sum()), u)
                every[slot].append(one)
                begun[slot] = step + 1
                if not np.isnan(one.total):
                    queue.append(one)
        kept = [one for own in every for one in own[-KEPT:]]
        turn = {(u * again + i) % (KEPT * ENVS) for i in range(again)}
        for one in kept:
            if one.born == u or (one.number % KEPT) * ENVS + one.slot in turn:
                payoff = one.against(queue)
                one.payoff = one.payoff if payoff is None else payoff
                queries += 0 if payoff is None else len([o for o in queue if o is not one])
        expected: dict[int, float] = {}
        for one in kept:
            won = one.against(queue) if at_sample else one.payoff
            for step in one.steps:
                share = 1 / len(one.steps) if pay == "spread" else float(step == one.steps[-1])
                if won is not None and step >= (u + 1) * LENGTH - ROWS:
                    expected[step % ROWS * ENVS + one.slot] = SCALE * won * share
        yield expected, queries


@pytest.mark.parametrize(
    ("again", "at_sample", "pay", "segment"),
    [(0, False, "spread", 0), (4, False, "end", 0), (0, True, "spread", 2)],
    ids=["none", "periodic", "sample"],
)
def test_what_steps_in_replay_are_paid(again: int, at_sample: bool, pay: Any, segment: int):
    """Episodes of any length that take several rollouts, some forgotten, some over the edge of the ring, one that is spoiled."""
    judge = Judge(max_reward(), Watch(8), False, pay, QUEUE, KEPT, ENVS * LENGTH, again, at_sample)
    forgotten = spoiled = 0
    for (store, _, told), (expected, queries) in zip(
        replayed(judge, segment), by_hand(again, at_sample, pay, segment), strict=True
    ):
        assert set(np.flatnonzero(told.known)) == set(expected)
        for place, value in expected.items():
            np.testing.assert_allclose(told.reward[place, 0], value, rtol=1e-5, atol=1e-6)
        assert not np.asarray(told.reward)[~np.asarray(told.known)].any()
        assert float(store.queries.total) == queries
        spoiled += int(np.isnan(np.asarray(store.held.phi.total)).sum())
        forgotten += int((np.asarray(store.episode) >= 0).sum()) - len(expected)
    assert forgotten > 0 and queries > 50 and spoiled > 0


@pytest.mark.core
def test_it_learns_from_comparisons_alone():
    """An action near 1/2 is preferred; one answer in five is turned round, and the store holds no reward."""
    env = probes.probe_env(continuous=True)
    params = jax.tree.map(jnp.float32, probes.PROBES["action"])
    hp = traced(
        SPOSACHyperparameters(
            learning_rate=1e-2,
            critic_learning_rate=1e-2,
            temperature=0.05,
            temperature_learning_rate=0.0,
            payoff_scale=1.0,
        )
    )
    learner = spo_sac(env, 8, 4, dataclasses.replace(TINY, preference="flips:0.2", relabel_every=10))
    chunk = make_chunk(learner, vectorize(env, 8), 4)
    state = jax.jit(chunk.init)(random.key(0), hp, params)
    state, metrics = jax.jit(chunk.run)(state, hp, (), params, jnp.float32(40), jnp.int32(40))
    obs = jnp.asarray(probes.observations()[probes.NAMES.index("action"), 0])
    actor = learner.actor(state.learner)
    action = learner.act(actor, obs, jnp.ones(2, bool), learner.initial_memory(2), random.key(1), "greedy")[0]
    np.testing.assert_allclose(action, 0.5, atol=0.15)
    assert not state.store.replay.reward.any() and int(state.diverged) == -1
    # 16 comparators of 32 newcomers, and of what is asked again.
    assert float(state.store.queries.total) > 32 * 15 * 39
    assert float(metrics["judged"]) == 1.0


def test_labels_end_with_their_budget_and_what_they_said_stays():
    """Updates whose comparisons would take more ask for none; what was compared before is paid as it was."""
    judge = Judge(max_reward(), Watch(8), False, "spread", QUEUE, KEPT, ENVS * LENGTH, 0, False)
    seen = {}
    for budget in (0, 30):
        asked, judged = [0], []
        for store, _, _ in replayed(judge._replace(budget=budget)):
            asked.append(int(store.queries.total))
            judged.append(
                {
                    i: float(x)
                    for i, x in zip(
                        np.asarray(store.held.mark)[np.asarray(store.judged) >= 0],
                        np.asarray(store.payoff)[np.asarray(store.judged) >= 0],
                        strict=True,
                    )
                }
            )
        seen[budget] = np.diff(asked), judged
    wanted, spent = seen[0][0], 0
    for made, (free, bound) in zip(wanted, zip(seen[0][1], seen[30][1], strict=True), strict=True):
        spent += made if spent + made <= 30 else 0
        assert bound.items() <= free.items()
    np.testing.assert_array_equal(seen[30][0].sum(), spent)
    assert 20 < spent <= 30 < wanted.sum()
    assert len(seen[30][1][-1]) < len(seen[0][1][-1])


def test_a_magnet_keeps_the_policy_near_its_reference():
    """Runs with weights 0 and 100 of the distance from the first policy, after which the reference is still that."""
    env = probes.probe_env(continuous=True)
    params = jax.tree.map(jnp.float32, probes.PROBES["action"])
    hp = SPOSACHyperparameters(
        learning_rate=1e-2,
        critic_learning_rate=1e-2,
        temperature=0.05,
        temperature_learning_rate=0.0,
        payoff_scale=1.0,
    )
    learner = spo_sac(env, 8, 4, dataclasses.replace(TINY, magnetic=True, reference="first"))
    chunk = make_chunk(learner, vectorize(env, 8), 4)

    @jax.jit
    def run(magnet: Any) -> Any:
        own = dataclasses.replace(traced(hp), magnet=magnet)
        state = chunk.init(random.key(0), own, params)
        after, metrics = chunk.run(state, own, (), params, jnp.float32(20), jnp.int32(20))
        return state.learner.policy, after.learner.reference.actor, metrics["reference_kl"]

    apart = {}
    for magnet in (0.0, 100.0):
        first, kept, apart[magnet] = run(jnp.float32(magnet))
        assert_equal(kept, first)
    assert float(apart[0.0]) > 1.0 and float(apart[100.0]) < 0.01


def test_stacked_observations_with_the_time_are_no_stacks():
    """Regression: the buffer was told to keep the newest of four frames, of thirteen numbers."""
    env = frame_stack(make("Pendulum-v1"), 4)
    learner = spo_sac(env, 2, 2, dataclasses.replace(TINY, capacity=64, horizon=0))
    assert learner.store is not None
    chunk = make_chunk(learner, vectorize(env, 2), 2)
    state = jax.eval_shape(chunk.init, random.key(0), traced(SPOSACHyperparameters()), env.params)
    assert state.store.replay.frame.shape == (32, 2, 4 * 3 + 1)
    plain = spo_sac(env, 2, 2, dataclasses.replace(TINY, capacity=64, horizon=0, time=False))
    state = jax.eval_shape(
        make_chunk(plain, vectorize(env, 2), 2).init,
        random.key(0),
        traced(SPOSACHyperparameters()),
        env.params,
    )
    assert state.store.replay.frame.shape == (32, 2, 3)


def test_a_resumed_run_is_the_run_that_went_on(tmp_path: Any):
    small = dataclasses.replace(
        TINY, capacity=128, batch=8, gradient_steps=2, hidden=(8,), horizon=0, relabel="sample"
    )
    config = TrainConfig.preset(
        "spo-sac",
        "Pendulum-v1",
        env_options={"max_steps_in_episode": 12},
        steps=256,
        num_envs=4,
        rollout_length=4,
        learner=dataclasses.asdict(small),
        rows=4,
        checkpoints=4,
        keep=4,
        evaluation=EvaluationConfig(times=1, episodes=2, final_episodes=2, max_steps=10),
    )
    whole = train(config, tmp_path / "run")
    again = train(config, tmp_path / "run", resume=True, step=8)
    assert_equal(again.states, whole.states)
    state = jax.tree.map(lambda x: x[0], whole.states[0])
    assert int(state.learner.steps) > 0 and float(state.store.queries.total) > 0


def test_what_does_not_fit_is_refused():
    env = probes.probe_env(continuous=True)
    with pytest.raises(
        ValueError, match="learner.segment is 2; it must be at most the horizon of episodes, 1"
    ):
        spo_sac(env, 4, 4, dataclasses.replace(TINY, segment=2))
    with pytest.raises(ValueError, match="learner.queries is 9; with learner.relabel 'sample'"):
        dataclasses.replace(TINY, queries=9, relabel="sample")
    with pytest.raises(ValueError, match="number is 1; it must be a whole number of at least 2"):
        dataclasses.replace(TINY, number=1)
    with pytest.raises(ValueError, match="the learner 'ppo' keeps no experience; spo.self_play is for such"):
        self_play_from_replay(lambda env, relabel: ppo(env, 4, 4), env, 4, 4, TINY)
