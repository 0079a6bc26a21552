"""SPO: episodes summed up over rollouts, win rates in place of rewards, the reference, and what it learns."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk
from compiled import program
from same import assert_equal

from jaxrl_envs import make
from jaxrl_envs.resets import FullResets
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import PolicyOutput, RunAxis, TrainConfig, Trajectory, make_chunk, over_runs, random
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.experience.normalisation import RunningMoments
from jaxrl_evolve.learners import reference, spo_payoff
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.reference import Reference
from jaxrl_evolve.learners.sac import sac
from jaxrl_evolve.learners.spo import self_play, spo
from jaxrl_evolve.learners.spo_config import SPOConfig, SPOHyperparameters
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.preferences import comparison, episodes, summary
from jaxrl_evolve.preferences.count import Count
from jaxrl_evolve.preferences.episodes import Watch
from jaxrl_evolve.preferences.games import populations
from jaxrl_evolve.preferences.named import oracle_from_name
from jaxrl_evolve.preferences.oracles import max_reward
from jaxrl_evolve.runs.rollout import rollout
from jaxrl_evolve.training.experiment import traced
from jaxrl_evolve.training.train import train

N = 4
SMALL = SPOConfig(
    epochs=1, minibatches=1, horizon=walk.LENGTH, network=NetworkConfig(hidden=(8,)), check_oracle=False
)

random_summaries = program(summary.random_summaries, "number")
summarise = program(summary.summarise, "myopia")
nothing_lived, lived = program(episodes.nothing_lived, "watch"), program(episodes.lived, "watch")
compared = program(spo_payoff.compared, "oracle", "most", "soft")
spread = program(spo_payoff.spread, "pay")
empty_queue, push = program(comparison.empty_queue, "size"), program(comparison.push)
follow = program(reference.follow, "kind", "every")


def trajectory(reward: Any, first: Any, ended: Any, obs: Any = None) -> Trajectory:
    reward = np.asarray(reward, np.float32)
    obs = np.zeros((*reward.shape, 2), np.float32) if obs is None else obs
    action = reward[..., None] / 2
    put = jax.device_put((obs, action, reward, ended, np.zeros_like(ended), first, obs, reward))
    return Trajectory(*put[:-1], PolicyOutput(put[-1]))


def test_summaries_over_rollouts_are_those_of_whole_episodes():
    """An episode of 10 steps and one of 3 beside it, in rollouts of 4 steps, against `summarise` of each."""
    rng, lengths = np.random.default_rng(0), {0: [10, 2], 1: [3, 3, 6]}
    first, ended = np.zeros((12, 2), bool), np.zeros((12, 2), bool)
    for slot, many in lengths.items():
        ends = np.cumsum(many)
        first[[0, *ends[:-1]], slot] = True
        ended[ends - 1, slot] = True
    reward, obs = rng.normal(size=(12, 2)).astype(np.float32), rng.normal(size=(12, 2, 2)).astype(np.float32)
    watch = Watch(horizon=12, myopia=0.5)
    running, found = nothing_lived(watch, trajectory(reward, first, ended, obs)), []
    for start in (0, 4, 8):
        part = slice(start, start + 4)
        running, phi = lived(watch, running, trajectory(reward[part], first[part], ended[part], obs[part]))
        found.append(phi)
    phi = jax.tree.map(lambda *x: np.concatenate(x), *found)
    for slot, many in lengths.items():
        for start, end in zip(np.cumsum([0, *many[:-1]]), np.cumsum(many), strict=True):
            own, alive = reward[start:end, slot], np.arange(12) < end - start
            padded = np.pad(own, (0, 12 - len(own)), constant_values=np.nan)
            criteria = np.stack([padded, -np.square(padded / 2), np.ones(12)], 1)
            whole = summarise(padded, alive, criteria.astype(np.float32), obs[end - 1, slot], 0.5)
            for name, value in vars(whole).items():
                np.testing.assert_allclose(
                    getattr(phi, name)[end - 1, slot], value, rtol=1e-5, atol=1e-6, err_msg=name
                )


def test_payoffs_are_the_win_rates_of_the_dossier():
    """Returns 3, 1, 1, 7 win 2/3, 1/6, 1/6 and all of their comparisons; episodes that run on are compared with nobody."""
    phi = replace(
        random_summaries(random.key(0), 10), total=np.asarray([9, 3, 9, 1, 9, 9, 1, 9, 7, 9], np.float32)
    )
    phi = jax.tree.map(lambda x: x.reshape((5, 2, *x.shape[1:])), phi)
    ended = np.asarray([0, 1, 0, 1, 0, 0, 1, 0, 1, 0], bool).reshape(5, 2)
    found = compared(max_reward(), random.key(1), phi, ended, 6, None, False)
    expected = [0, 1 / 3, 0, -2 / 3, 0, 0, -2 / 3, 0, 1, 0]
    np.testing.assert_allclose(found.payoff.ravel(), expected, rtol=1e-6)
    assert (float(found.win_rate), float(found.compared), float(found.queries)) == (0.5, 4.0, 6.0)
    tied = jax.tree.map(np.zeros_like, phi)
    assert not compared(max_reward(), random.key(1), tied, ended, 6, None, False).payoff.any()
    fewer = compared(max_reward(), random.key(1), phi, ended, 2, None, False)
    assert np.count_nonzero(fewer.payoff) <= 2 and float(fewer.compared) == 2
    assert float(fewer.queries) == 1.0


def test_a_queue_of_comparators_begins_empty_and_holds_whole_episodes_only():
    phi = replace(random_summaries(random.key(0), 4), total=np.asarray([1, 2, 3, 4], np.float32))
    grid = jax.tree.map(lambda x: x.reshape((2, 2, *x.shape[1:])), phi)
    ended = np.asarray([[True, False], [True, True]])
    queue = empty_queue(jax.tree.map(lambda x: x[0], phi), 2)
    found = compared(max_reward(), random.key(1), grid, ended, 4, queue, False)
    assert float(found.queries) == 0 and not found.payoff.any() and float(found.win_rate) == 0.5
    queue = push(queue, found.phi, 0, np.isfinite(found.phi.total))
    np.testing.assert_array_equal(np.sort(queue.phi.total), [3.0, 4.0])  # the newest two of 1, 3 and 4
    found = compared(max_reward(), random.key(1), grid, ended, 4, queue, False)
    np.testing.assert_allclose(found.payoff, [[-1, 0], [-0.5, 0.5]])
    assert float(found.queries) == 6


@pytest.mark.parametrize("pay", ["spread", "end"])
def test_what_an_episode_is_paid_adds_up_to_its_payoff(pay: Any):
    first = np.array(
        [[1, 0], [0, 0], [0, 1], [1, 0], [0, 0]], bool
    )  # the second slot began before this rollout
    ended = np.array(
        [[0, 0], [0, 1], [1, 0], [0, 0], [0, 0]], bool
    )  # and its next episode runs on, as the first slot's does
    paid = np.where(ended, np.array([0.6, -0.4]), 0.0).astype(np.float32)
    reward = spread(paid, first, ended, pay)
    expected = np.zeros((5, 2))
    if pay == "spread":
        expected[:3, 0], expected[:2, 1] = 0.2, -0.2
    else:
        expected[2, 0], expected[1, 1] = 0.6, -0.4
    np.testing.assert_allclose(reward, expected, rtol=1e-6)


def test_references():
    clock = lambda step: Clock(np.float32(step), np.float32(100), np.float32(0))
    start = Reference.of(jax.device_put({"w": np.zeros(2, np.float32), "n": np.int32(0)}))
    new = {"w": np.ones(2, np.float32), "n": np.int32(5)}
    go = lambda kind, updates, step=0.0: follow(kind, start, new, 0.25, 4, np.int32(updates), clock(step))
    assert_equal(go("first", 4), start)
    np.testing.assert_allclose(go("average", 1).actor["w"], 0.25)
    assert int(go("average", 1).actor["n"]) == 5
    # Moments are those of today's policy: of their average with those of nothing, nobody has played.
    begun = Reference.of({"w": np.zeros(2, np.float32), "seen": moments(0.0, [0.0], [1.0])})
    today = {"w": np.ones(2, np.float32), "seen": moments(64.0, [5.0], [9.0])}
    mixed = follow("average", begun, today, 0.25, 4, np.int32(1), clock(0.0)).actor
    np.testing.assert_allclose(mixed["w"], 0.25)
    assert_equal(mixed["seen"], today["seen"])
    assert [float(go("every", i).actor["w"][0]) for i in (3, 4, 5)] == [0, 1, 0]
    assert [float(go("stages", 1, step).actor["w"][0]) for step in (24, 25, 26)] == [0, 1, 1]
    later = follow("stages", go("stages", 1, 26), start.actor, 0.25, 4, np.int32(2), clock(30))
    assert_equal(later.actor, new)  # once a stage


def moments(*values: Any) -> RunningMoments:
    return RunningMoments(*(np.asarray(x, np.float32) for x in values))


def test_the_first_policy_of_a_run_with_trained_weights_is_theirs():
    """They are put into the learner's state when the reference is made already."""
    env = walk.make()
    learner = spo(env, N, walk.LENGTH, replace(SMALL, magnetic=True, reference="first"))
    venv, hp = vectorize(env, N), traced(SPOHyperparameters(magnet=1.0))

    @program
    def go(key: Any) -> Any:
        own, other = (learner.init(k, hp) for k in jax.random.split(key))
        state = learner.adopt(own, other)
        playing = (venv, venv.reset(key, env.params), learner.initial_memory(N), env.params, walk.LENGTH)
        t = rollout(key, learner, state, *playing)[2]
        clock = Clock(jnp.float32(0), jnp.float32(8), jnp.float32(0))
        after, metrics = learner.update(key, state, t, hp, (), clock)
        return after.reference.actor.params, learner.actor(other).params, metrics["reference_kl"]

    kept, trained, apart = go(random.key(3))
    assert_equal(kept, trained)
    np.testing.assert_allclose(apart, 0.0, atol=1e-6)


@pytest.mark.parametrize("comparators", [1, 4])
def test_episodes_of_a_subsample_have_as_many_comparators_whatever_the_room(comparators: int):
    """Of 8 that ended in a room of 20."""
    phi = random_summaries(random.key(0), 20)
    phi = jax.tree.map(lambda x: x.reshape((5, 4, *x.shape[1:])), phi)
    ended = (np.arange(20) % 5 < 2).reshape(5, 4)
    go = lambda key, phi: spo_payoff.compared(
        max_reward(), key, phi, jnp.asarray(ended), 20, comparators, False
    )
    found = program(go)(random.key(1), phi)
    assert (int(found.compared), int(found.queries)) == (8, 8 * comparators // 2)
    assert ((found.payoff != 0) <= ended).all()


def test_where_there_is_no_room_for_all_any_episode_may_be_compared():
    """Of 12 of 20 steps at which episodes end, six are chosen, each as often; where there is room, all are taken in the order of time."""
    ended = (np.arange(20) % 5 < 3).reshape(5, 4)
    places = program(
        lambda key: jax.vmap(lambda k: spo_payoff.chosen(k, jnp.asarray(ended), 6))(
            jax.random.split(key, 2_000)
        )
    )(random.key(0))
    assert (np.diff(places, axis=1) > 0).all()
    share = np.bincount(places.ravel(), minlength=20) / 2_000
    np.testing.assert_array_equal(share[~ended.ravel()], 0.0)
    np.testing.assert_allclose(share[ended.ravel()], 0.5, atol=0.05)  # four and a half standard errors
    enough = program(spo_payoff.chosen, "most")(random.key(0), ended, 13)
    np.testing.assert_array_equal(enough, [*np.flatnonzero(ended), 20])


def runs(
    config: SPOConfig,
    hp: SPOHyperparameters,
    env: Any = None,
    length: int = walk.LENGTH,
) -> Any:
    """Runs of so many updates, all by the same programs."""
    env = walk.make() if env is None else env
    learner = spo(env, 16, length, config, hp)
    chunk = make_chunk(learner, vectorize(env, 16), length)
    state = jax.jit(chunk.init)(random.key(0), traced(hp), env.params)
    run = jax.jit(chunk.run)
    return lambda updates: run(state, traced(hp), (), env.params, jnp.float32(updates), jnp.int32(updates))


@pytest.mark.parametrize("comparators", ["batch", "queue", "subsample"])
@pytest.mark.core("batch")
def test_it_learns_from_comparisons_alone(comparators: Any):
    """Walks that end farther to the right are preferred; rewards are seen by the oracle alone, half of whose answers at a rate of 0.2 are turned."""
    config = replace(
        SMALL,
        epochs=4,
        comparators=comparators,
        number=16 if comparators == "queue" else 8,
        preference="flips:0.2",
        episodes=16,
    )
    hp = SPOHyperparameters(learning_rate=3e-2, learning_rate_end=1.0, entropy_coef=0.0)
    run = runs(config, hp)
    _, first = run(1)
    state, last = run(40)
    # All eight steps to the right: 1 + ... + 8 from the start.
    assert abs(float(first["episode_return"])) < 12
    assert float(last["episode_return"]) > 20
    queries = {"batch": 16 * 15 / 2, "subsample": 16 * 8 / 2, "queue": 16 * 16}[comparators]
    assert float(state.learner.queries.total) == queries * (39 if comparators == "queue" else 40)
    if comparators != "queue":
        np.testing.assert_allclose(last["win_rate"], 0.5, atol=1e-6)


def test_nothing_is_learned_before_anybody_was_compared_nor_when_labels_have_run_out():
    """Episodes of eight steps in rollouts of four: 16 end in every other update, whose 120 comparisons a budget of 250 allows twice."""
    hp, config = (
        SPOHyperparameters(learning_rate_end=1.0),
        replace(SMALL, queries=250, magnetic=True, snapshots=2),
    )
    run = runs(config, replace(hp, magnet=0.1), length=4)
    states = [run(updates) for updates in (0, 1, 2, 4, 5, 6, 7)]
    asked = [float(state.learner.queries.total) for state, _ in states]
    assert asked == [0, 0, 120, 240, 240, 240, 240]
    learned = [
        (state.learner.learner.params, state.learner.reference, state.learner.snapshots)
        for state, _ in states
    ]
    same = [
        all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, pair), strict=True))
        for pair in itertools.pairwise(learned)
    ]
    # Between two ends of episodes it learns as well: critics know what is still to be paid.
    assert same == [True, False, False, False, True, True]
    last = states[-1][1]
    assert float(last["win_rate"]) == 0.5 and float(last["compared"]) < 1


def test_labels_are_counted_exactly():
    """At the bound itself, and where float32 would round."""
    for number in (0, 5, 2**24 - 1, 2**24, 2**24 + 1, 2**30 + 7):
        count = Count.none().plus(jnp.int32(number))
        assert [bool(count.within(most)) for most in (number - 1, number, number + 1)] == [False, True, True]
        assert bool(count.some) == (number > 0)
    assert bool(Count.none().plus(jnp.int32(2**30)).plus(jnp.int32(2**30)).within(2**31))


def test_what_the_learner_inside_is_given():
    """Ends are terminations, since nothing can be won after them; the time is observed; rewards are the payoffs."""
    t, (given, metrics) = given_to_the_learner_inside(SMALL, 8)
    ends = np.arange(8) % 4 == 3
    assert given.obs.shape == (8, N, 4)
    np.testing.assert_allclose(given.obs[..., 3], np.tile(np.arange(8) % 4 / 4, (N, 1)).T)
    np.testing.assert_allclose(given.next_obs[..., 3], np.tile(np.arange(8) % 4 / 4 + 0.25, (N, 1)).T)
    np.testing.assert_array_equal(given.terminated, np.tile(ends, (N, 1)).T)
    assert not np.asarray(given.truncated).any() and np.asarray(t.truncated)[ends].all()
    # Eight episodes of four steps, ranked by their returns: from -10 to 10 in equal steps, a fourth at each of the steps.
    totals = np.asarray(t.reward).reshape(2, 4, N).sum(1).ravel()
    ranks = totals.argsort().argsort()
    paid = 10 * (2 * ranks / 7 - 1) / 4
    np.testing.assert_allclose(
        np.asarray(given.reward), np.repeat(paid.reshape(2, 1, N), 4, 1).reshape(8, N), rtol=1e-5
    )
    assert float(metrics["queries"]) == 28


def given_to_the_learner_inside(config: SPOConfig, length: int, resets: Any = None) -> tuple[Any, Any]:
    """A rollout on Pendulum with episodes of 4 steps, and what the learner inside is given of it."""
    env, seen = make("Pendulum-v1", max_steps_in_episode=4), []

    def watched(inner_env: Any) -> Any:
        def update(key: Any, state: Any, t: Any, *rest: Any) -> Any:
            del key, rest
            seen.append(t)
            return state, {}

        return ppo(inner_env, N, length, SMALL)._replace(update=update)

    learner, venv = self_play(watched, env, N, length, replace(config, horizon=0)), vectorize(env, N, resets)

    @program
    def go(key: Any, hp: Any) -> Any:
        state, envs = learner.init(key, hp), venv.reset(key, env.params)
        t = rollout(key, learner, state, venv, envs, learner.initial_memory(N), env.params, length)[2]
        clock = Clock(jnp.float32(0), jnp.float32(8), jnp.float32(0))
        return t, (learner.update(key, state, t, hp, (), clock)[1], seen[0])

    t, (metrics, given) = go(random.key(0), traced(SPOHyperparameters()))
    return t, (given, metrics)


def test_pieces_are_compared_and_paid_each_by_itself():
    """Episodes of four steps in pieces of three and one, against ranks."""
    t, (given, metrics) = given_to_the_learner_inside(replace(SMALL, segment=3), 4)
    reward = np.asarray(t.reward)
    totals = np.concatenate([reward[:3].sum(0), reward[3]])
    paid = 10 * (2 * totals.argsort().argsort() / 7 - 1)
    np.testing.assert_allclose(given.reward[:3], np.tile(paid[:N] / 3, (3, 1)), rtol=1e-5)
    np.testing.assert_allclose(given.reward[3], paid[N:], rtol=1e-5)
    np.testing.assert_array_equal(given.terminated, [[False] * N] * 3 + [[True] * N])
    assert float(metrics["queries"]) == 28


def test_groups_are_compared_among_themselves():
    """Two episodes of each of four environments: one query for each pair that began alike."""
    t, (given, metrics) = given_to_the_learner_inside(replace(SMALL, group=2), 8, FullResets(2))
    obs, reward = np.asarray(t.obs), np.asarray(t.reward).reshape(2, 4, N).sum(1)
    for start in (0, 4):
        np.testing.assert_array_equal(obs[start, ::2], obs[start, 1::2])
        assert (obs[start, 0] != obs[start, 2]).any()
    better = reward > reward.reshape(2, 2, 2)[:, :, ::-1].reshape(2, N)
    np.testing.assert_allclose(given.reward, np.repeat(np.where(better, 2.5, -2.5), 4, 0), rtol=1e-5)
    assert float(metrics["queries"]) == 4 and float(metrics["compared"]) == 1


def test_an_episode_whose_rewards_are_no_numbers_is_compared_with_nobody():
    """It spoils neither the run nor the others, also where it takes several rollouts."""
    env = walk.make(nan_rate=0.5)
    state, metrics = runs(replace(SMALL, episodes=64), SPOHyperparameters(), env, length=5)(4)
    assert int(state.diverged) == -1
    assert all(np.isfinite(np.asarray(x)).all() for x in jax.tree.leaves(state.learner))
    assert 0.2 < float(metrics["compared"]) < 0.8
    spoiled = np.asarray(state.learner.spoiled)
    assert spoiled.any() and not spoiled.all()


def test_runs_side_by_side_are_the_runs_alone():
    env = walk.make()
    config = replace(SMALL, magnetic=True, comparators="queue", number=8, episodes=16)
    learner = spo(env, N, walk.LENGTH, config)
    hps = [traced(SPOHyperparameters(payoff_scale=s, magnet=m)) for s, m in ((10.0, 0.01), (3.0, 0.5))]
    chunk = make_chunk(learner, vectorize(env, N), walk.LENGTH)
    many = over_runs(chunk, [RunAxis("seed", 2, hp=True)])
    keys, length = jax.jit(jax.random.split)(random.key(5)), (jnp.float32(5), jnp.int32(5))

    def go(chunk: Any, key: Any, hp: Any) -> Any:
        state = jax.jit(chunk.init)(key, hp, env.params)
        state, metrics = jax.jit(chunk.run)(state, hp, (), env.params, *length)
        return jax.device_get((state.learner, metrics))

    together, metrics = go(many, keys, jax.tree.map(lambda *x: np.stack(x), *hps))
    for i in range(2):
        alone, own = go(chunk, keys[i], hps[i])
        close = lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-3, atol=1e-5)
        jax.tree.map(close, together, alone)
        jax.tree.map(close, metrics, own)
    assert float(metrics["reference_kl"][0]) != 0


def test_a_resumed_run_is_the_run_that_went_on(tmp_path: Any):
    learner = {
        "epochs": 1,
        "minibatches": 1,
        "network": {"hidden": (8,)},
        "horizon": walk.LENGTH,
        "comparators": "queue",
        "magnetic": True,
    }
    config = walk.config("spo", learner=learner, updates=4)
    config = dataclasses.replace(config, rows=4, checkpoints=4, keep=4)
    whole = train(config, tmp_path / "run")
    again = train(config, tmp_path / "run", resume=True, step=2)
    assert_equal(again.states, whole.states)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_rewards", "there is no 'max_rewards'"),
        ("flips", "flips reads flips:RATE, with numbers"),
        ("flips:2", "rate is 2.0; it must be a number between 0 and 1"),
        ("frozen:inf", "seed is inf; it must be a whole number of at least 0 and below 2"),
        ("frozen:0.5", "seed is 0.5; it must be a whole number"),
        ("bt:inf", "temperature is inf"),
        ("nonmarkov:nan", "nonmarkov reads nonmarkov:MOST, with numbers"),
        ("flips:0.1+bt", "bt stands first or not at all"),
        ("populations:0.5:0.6", "it must be shares of at least 0 that add up to 1"),
        ("", "it must be text such as"),
    ],
)
def test_preferences_that_are_none_are_refused(text: str, message: str):
    with pytest.raises(ValueError, match=message):
        oracle_from_name(text)


def test_preferences_as_text():
    a, b = (
        replace(random_summaries(random.key(0), 1), total=np.float32(x), length=np.float32(y))
        for x, y in ((3, 1), (1, 5))
    )
    probability = lambda text: float(program(oracle_from_name(text).prob)(a, b, None))
    np.testing.assert_allclose(probability("bt"), 1 / (1 + np.exp(-2.0)), rtol=1e-6)
    np.testing.assert_allclose(probability("flips:0.3"), 0.7, rtol=1e-6)
    np.testing.assert_allclose(
        probability("bt:2+flips:0.1+length_hack:0.05"),
        0.9 / (1 + np.exp(-1.0)) + 0.1 / (1 + np.exp(1.0)) - 0.05,
        rtol=1e-6,
    )


def test_a_cyclic_share_is_mixed_into_an_order():
    """Sector 1 beats sector 0 by 0.2; 0.4 of that against 0.6 of a return that says the opposite."""
    a, b = (replace(random_summaries(random.key(0), 1), total=np.float32(x), end=np.asarray(y, np.float32)) for x, y in ((1, (-1.0, 0.1)), (2, (1.0, 0.1))))  # fmt: skip
    expected = 0.5 + 0.5 * (0.4 * 0.2 - 0.6)
    np.testing.assert_allclose(program(oracle_from_name("cyclic:0.4").prob)(a, b, None), expected, rtol=1e-6)


def test_episodes_that_never_end_are_paid_nothing_and_ask_nothing():
    phi = jax.tree.map(lambda x: x.reshape((5, 2, *x.shape[1:])), random_summaries(random.key(0), 10))
    found = compared(max_reward(), random.key(1), phi, np.zeros((5, 2), bool), 4, None, False)
    assert not found.payoff.any()
    assert (float(found.win_rate), float(found.compared), float(found.queries)) == (0.5, 0.0, 0.0)


def test_what_does_not_fit_is_refused():
    env = walk.make()
    with pytest.raises(ValueError, match="num_envs is 1; at least 2 trajectories can be compared"):
        spo(env, 1, 8, SMALL)
    with pytest.raises(ValueError, match="tiny/Walk has no time limit that is known; say learner.horizon"):
        spo(env, N, 8, replace(SMALL, horizon=0))
    with pytest.raises(ValueError, match="learner.time is True, but observations are"):
        spo(make("Breakout-MinAtar"), N, 8, SMALL)
    with pytest.raises(
        ValueError, match="learner.network.memory is 'gru'; with learner.magnetic it must be 'none'"
    ):
        spo(env, N, 8, replace(SMALL, magnetic=True, network=NetworkConfig(memory="gru")))
    with pytest.raises(ValueError, match="the learner 'sac' keeps experience of its own"):
        self_play(lambda e: sac(e, N, 8), make("Pendulum-v1"), N, 8, SMALL)
    with pytest.raises(
        ValueError, match="learner.number is 4; of 4 episodes that are compared it must be fewer"
    ):
        spo(env, N, 8, replace(SMALL, comparators="subsample", number=4, episodes=4))
    for group in (1, 3):
        with pytest.raises(ValueError, match=f"learner.group is {group}; it must be at least 2 and divide"):
            spo(env, N, 8, replace(SMALL, group=group))
    with pytest.raises(ValueError, match="learner.comparators is 'queue'; with learner.group it must be"):
        spo(env, N, 8, replace(SMALL, group=2, comparators="queue"))
    with pytest.raises(ValueError, match="weights has 2 shares; there must be one for each of 3 criteria"):
        spo(env, N, 8, replace(SMALL, check_oracle=True, preference="populations:0.5:0.5"))
    lying = max_reward()._replace(prob=lambda a, b, context: jnp.float32(0.7))
    with pytest.raises(ValueError, match="max_reward"):
        spo(env, N, 8, replace(SMALL, check_oracle=True), oracle=lying)


@pytest.mark.slow
def test_pendulum_is_learned_from_comparisons_of_whole_episodes():
    """-180 and better by four million steps, with three of ten answers turned round as well."""
    for preference in ("max_reward", "flips:0.3"):
        config = TrainConfig.preset("spo", "Pendulum-v1", steps=4_000_000, learner={"preference": preference})
        assert train(config).eval_return[0] > -180


@pytest.mark.slow
def test_drawn_to_its_average_it_ends_in_sectors_as_the_minimax_winner_does():
    """Shares of the second half within 0.03 of (0.8, 0.1, 0.1), and the last policy below 0.03; without, one sector is all that is left."""
    game = populations((0.45, 0.45, 0.1))
    exploited = lambda shares: (game.advantage @ np.asarray(shares, np.float64)).max()
    evaluation = {"times": 1, "episodes": 32, "final_episodes": 8_192, "mode": "sample"}

    def shares(learner: Any, **hp: float) -> Any:
        config = TrainConfig.preset(
            *("spo", "point/sectors"),
            learner={"preference": "sectors", **learner},
            steps=7_680_000,
            hp=hp,
            evaluation=evaluation,
        )
        result = train(config)
        second = result.rows[len(result.rows) // 2 :]
        return np.mean([row["episode_sector"][0] for row in second], 0), result.summary["eval_sector"][0]

    half, last = shares({"magnetic": True}, magnet=0.02, learning_rate_end=0.0)
    np.testing.assert_allclose(half, game.winner, atol=0.03)
    assert exploited(last) < 0.03
    assert exploited(shares({})[1]) > 0.09
