"""Curricula of levels: their scores against NumPy, what they choose, what is learned from, and what is refused."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk
from compiled import program
from same import assert_close, assert_equal
from toys import Coin, coins

from jaxrl_envs.vector import vectorize
from jaxrl_evolve import random
from jaxrl_evolve.curricula.buffer_config import BufferConfig
from jaxrl_evolve.curricula.level_buffer import init_buffer, update_buffer
from jaxrl_evolve.curricula.levels.names import LEVEL_CURRICULA
from jaxrl_evolve.curricula.levels.options import LevelOptions
from jaxrl_evolve.curricula.levels.replay import evidence
from jaxrl_evolve.curricula.levels.scores import SCORES, Seen, learnability
from jaxrl_evolve.curricula.levels.traced import co_learnability_of
from jaxrl_evolve.curricula.levels.visits import Known, pooled, renewed, unknown, visit_of
from jaxrl_evolve.curricula.table import make_curriculum
from jaxrl_evolve.learners.learner import Assessment, Learner
from jaxrl_evolve.runs.check import check_curriculum
from jaxrl_evolve.runs.chunk import make_chunk, make_update
from jaxrl_evolve.runs.lived import Lived
from jaxrl_evolve.runs.rollout import EpisodeSums, Played
from jaxrl_evolve.runs.tasks import NEW, Assignment
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

T, N = 12, 5


def lived_through(seed: int) -> tuple[Lived, dict[str, np.ndarray]]:
    """A rollout of random numbers, and these; slot 4 ends no episode, and one return and one advantage are NaN."""
    rng = np.random.default_rng(seed)
    facts = {name: rng.normal(size=(T, N)).astype(np.float32) for name in ("a", "v", "td", "returns")}
    facts["ended"], facts["won"] = rng.random((T, N)) < 0.3, rng.random((T, N)) < 0.5
    facts["ended"][:, 4] = False
    facts["ended"][2:4, 1] = True
    facts["returns"][3, 1], facts["a"][5, 2] = np.nan, np.nan
    put = jax.device_put
    zeros, no = put((np.zeros((T, N), np.float32), np.zeros((T, N), bool)))
    obs = put(np.zeros((T, N, 1), np.float32))
    trajectory = Trajectory(
        *(obs, zeros, zeros, put(facts["ended"]), no, no, obs),
        policy=PolicyOutput(zeros),
        info={"success": put(facts["won"])},
    )
    played = Played(trajectory, EpisodeSums.none(), put(facts["returns"]), put(np.ones((T, N), np.int32)))
    said = Assessment(*(put(facts[name]) for name in ("v", "a", "td")))
    given = Assignment(
        put(np.full((N,), NEW, np.int32)), Coin(put(np.linspace(0.0, 1.0, N, dtype=np.float32)))
    )
    change = put(np.arange(N, dtype=np.float32))
    return Lived(given, played, (), {}, lambda: said, lambda: change), facts


def success(lived: Any) -> Any:
    return lived.played.trajectory.info["success"].astype(jnp.float32)


def test_every_score_is_its_formula():
    lived, facts = lived_through(3)
    visit = program(lambda: visit_of(lived, success, critic=True, influence=True))()
    before = Known(
        *(
            np.float32(x)
            for x in ([3.0, 0, 4, 0, 2], [1.0, 0, 4, 0, 0], [0.5, -9, 9, -9, 1], [1.0, 0, 1, 0, 0], [0.0] * 5)
        )
    )
    left = np.float32([0.5, 1.0, 0.25, 1.0, 1.0])
    known = program(renewed)(before, visit, left)
    levels = jax.device_get(lived.proposed.params)
    options = LevelOptions(prior=0.5)

    @program
    def scored(*facts: Any) -> Any:
        seen = Seen(*facts, jax.vmap(coins().optimal_return), options)
        last = Seen(*facts, None, LevelOptions(best="last"))
        return {name: x.value(seen) for name, x in SCORES.items()}, SCORES["max-mc"].value(last)

    found, last = scored(visit, known, levels)
    for i in range(N):
        fine = np.isfinite(facts["a"][:, i])
        a, v, td = (facts[name][fine, i] for name in ("a", "v", "td"))
        over = facts["ended"][:, i] & np.isfinite(facts["returns"][:, i])
        returns, won = facts["returns"][over, i], facts["won"][over, i]
        n = float(left[i] * before.episodes[i] + over.sum())
        s = float(left[i] * before.successes[i] + won.sum())
        best = max([float(before.best[i]), *returns])
        expected = {
            "value-l1": np.abs(a).mean(),
            "pvl": np.maximum(a, 0).mean(),
            "max-mc": best - v.mean(),
            "td": np.abs(td).mean(),
            "posterior-learnability": (s + 0.5) * (n - s + 0.5) / ((n + 1) * (n + 2)),
            "mna": np.maximum(-a, 0).mean() * (won.any() or before.solved[i] > 0),
            "pace": i,
        }
        if n > 1.5:
            expected["learnability"] = s / n * (1 - s / n) * n / (n - 1)
        if len(returns):
            expected["true-regret"] = levels.p[i] - returns.mean()
            np.testing.assert_allclose(last[i], returns.max() - v.mean(), rtol=1e-4)
        else:
            assert not np.isfinite(last[i])
        for name in SCORES:
            if name in expected:
                np.testing.assert_allclose(found[name][i], expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
            else:  # too little is known: no score, so that the level does not get in
                assert not np.isfinite(found[name][i]), name


def test_learnability_is_unbiased():
    n, p = 6, 0.3
    k = np.arange(n + 1)
    chance = np.array([math.comb(n, i) for i in k], float)
    chance = chance * p**k * (1 - p) ** (n - k)
    value = program(learnability)(np.full(n + 1, n, np.float32), k.astype(np.float32))
    np.testing.assert_allclose((chance * value).sum(), p * (1 - p), rtol=1e-5)


def test_what_came_of_one_level_in_several_slots_is_pooled():
    lived = lived_through(4)[0]
    visit = program(lambda: visit_of(lived, success, influence=True))()
    alike = np.eye(N, dtype=bool)
    alike[1, 3] = alike[3, 1] = True
    merge = program(pooled)
    found = merge(visit, alike)
    for name in ("scored", "episodes", "successes", "negative"):
        before, after = np.asarray(getattr(visit, name)), np.asarray(getattr(found, name))
        np.testing.assert_allclose(after[[1, 3]], before[1] + before[3], rtol=1e-6)
        np.testing.assert_allclose(after[[0, 2, 4]], before[[0, 2, 4]])
    assert found.best[1] == found.best[3] == max(visit.best[1], visit.best[3])
    assert found.influence[1] == 2.0
    # What is no number spoils what is known of one level, and of no other.
    none = np.where(np.arange(N) == 1, np.float32(np.nan), visit.influence)
    found = merge(visit.replace(influence=none), alike).influence
    assert found[[0, 2, 4]].tolist() == [0.0, 2.0, 4.0] and np.isnan(found[3])


def test_a_score_does_not_depend_on_how_many_slots_played_the_level_nor_for_how_long():
    """Two slots of five played the same; a visit twice as long in which the same happened twice."""
    lived = lived_through(6)[0]
    visit = program(lambda: visit_of(lived, success))()
    same = jax.tree.map(lambda x: np.where(np.arange(N) == 3, x[1], x), visit)
    alike = np.eye(N, dtype=bool)
    alike[1, 3] = alike[3, 1] = True
    levels = jax.device_get(lived.proposed.params)

    @program
    def scored(visit: Any, alike: Any) -> Any:
        seen = pooled(visit, alike)
        nothing = jax.tree.map(lambda x: jnp.broadcast_to(x, (N,)), unknown())
        facts = Seen(seen, renewed(nothing, seen, jnp.ones(N)), levels, None, LevelOptions())
        return {name: x.value(facts) for name, x in SCORES.items() if x.critic}

    once, twice = scored(same, np.eye(N, dtype=bool)), scored(same, alike)
    longer = jax.tree.map(lambda x: 2 * x, same).replace(best=same.best, solved=same.solved)
    for name in once:
        assert np.isfinite(once[name][:4]).all() and np.abs(once[name][:4]).max() > 0
        np.testing.assert_allclose(twice[name], once[name], rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(
            scored(longer, np.eye(N, dtype=bool))[name], once[name], rtol=1e-5, err_msg=name
        )


def counting() -> Learner:
    """Learns the sum of what it is given to learn from, and nothing else."""

    def act(actor: Any, obs: Any, first: Any, memory: Any, key: Any, mode: Any = "explore") -> Any:
        return jnp.zeros(first.shape, jnp.int32), memory, PolicyOutput(jnp.zeros(first.shape, jnp.float32))

    def update(key: Any, state: Any, t: Any, hp: Any, eta: Any, clock: Any) -> Any:
        assert t.reward.shape == (8, 16)
        return state + t.obs.sum(), {"loss": jnp.float32(0.0)}

    nothing = lambda *_: ()
    zero = jnp.float32(0.0)
    return Learner("counting", lambda key, hp: zero, lambda s: s, act, update, nothing, nothing, zero)


def chunk_of(curriculum: Any) -> Any:
    return make_chunk(counting(), vectorize(coins(easy=0.4), 16, params_per_slot=True), 8, curriculum)


def run(curriculum: Any, updates: int, seed: int = 0) -> Any:
    """A run of the learner that counts, on coins."""
    env, chunk = coins(easy=0.4), chunk_of(curriculum)
    state = jax.jit(chunk.init)(random.key(seed), jnp.float32(0), env.params)
    arguments = (jnp.float32(0), (), env.params, jnp.float32(updates), jnp.int32(updates))
    return chunk, *jax.jit(chunk.run)(state, *arguments)


@pytest.mark.core
def test_sfl_keeps_what_is_learnable():
    """A fifth of the levels is; of those that are kept, nearly all are, and new ones still come."""
    curriculum = make_curriculum("sfl", coins(easy=0.4), 16, {"kept": 32, "share": 0.75})
    chunk, state, metrics = run(curriculum, 60)
    p = np.asarray(state.tasks.curriculum.buffer.levels.p)
    assert ((p >= 0.3) & (p <= 0.7)).mean() > 0.9
    assert chunk.scoring_steps == (4 + 4) * 8
    assert 0.0 < float(metrics["curriculum_effective_levels"]) <= 32.0
    playing = np.asarray(state.tasks.running.number) != NEW
    assert 0.3 < playing.mean() < 1.0
    # Scouts are merged besides, in the same update: what was seen fades once in each.
    buffer = state.tasks.curriculum.buffer
    assert int(buffer.updates) == 60 and int(buffer.scored_at.max()) == 60


def test_a_family_of_few_levels_is_replayed_though_it_cannot_fill_the_buffer():
    """All that it has are two, of which one cannot be solved; a buffer of ten that waits for five."""
    env = coins(easy=0.5)
    made = make_curriculum("plr", env, 16, {"capacity": 10, "score": "posterior-learnability"})
    chunk = make_chunk(counting(), vectorize(env, 16, params_per_slot=True), 8, made)

    def run(updates: Any) -> Any:
        state = chunk.init(random.key(0), jnp.float32(0), env.params)
        return chunk.run(state, jnp.float32(0), (), env.params, jnp.float32(9), updates)

    go = jax.jit(run)
    for updates, replayed in ((2, False), (6, True)):
        state, metrics = go(jnp.int32(updates))
        assert (np.asarray(state.tasks.running.number) != NEW).any() == replayed
        assert float(metrics["curriculum_buffer_fill"]) == np.float32(0.2)


def test_levels_that_nobody_can_solve_are_worth_nothing_and_spoil_nothing():
    env = dataclasses.replace(coins(), sample_params=lambda key: Coin(0.0 * jax.random.uniform(key)))
    made = make_curriculum("sfl", env, 16, {"kept": 4, "score": "learnability", "unique": False})
    chunk = make_chunk(counting(), vectorize(env, 16, params_per_slot=True), 8, made)
    state = jax.jit(chunk.init)(random.key(0), jnp.float32(0), env.params)
    state, metrics = jax.jit(chunk.run)(state, jnp.float32(0), (), env.params, jnp.float32(3), jnp.int32(3))
    assert state.tasks.curriculum.buffer.scores.tolist() == [0.0] * 4
    assert all(np.isfinite(np.asarray(x)) for name, x in metrics.items() if name.startswith("curriculum"))
    assert int(state.diverged) == -1


def test_nothing_is_learned_from_scouts():
    """As long as there is nothing to replay, they are all that differs."""
    options = {"score": "posterior-learnability", "min_fill": 1.0, "capacity": 512}
    few, many = (
        run(make_curriculum("parallel-plr", coins(), 16, {**options, "new": new}), 3)[1] for new in (1, 9)
    )
    assert few.learner == many.learner
    filled = lambda state: int((state.tasks.curriculum.buffer.numbers >= 0).sum())
    assert filled(few) < filled(many)


def test_robust_plr_scouts_in_proportion_and_learns_from_replays_alone():
    made = make_curriculum(
        "robust-plr", coins(), 16, {"score": "learnability", "replay_probability": 0.8, "capacity": 64}
    )
    assert made.scouts is not None and made.scouts.count == 4
    state = run(made, 12)[1]
    assert (np.asarray(state.tasks.running.number) != NEW).all()


def test_mutants_are_edits_of_what_was_trained_on_and_lack_of_evidence_is_looked_at_again():
    env = coins()
    made = make_curriculum("accel", env, 4, {"mutants": 6, "new": 2, "edits": 3})
    assert made.scouts is not None
    proposed = Assignment(np.full((4,), NEW), Coin(np.arange(1, 5, dtype=np.float32) / np.float32(5)))
    lived = lived_through(0)[0]._replace(proposed=jax.device_put(proposed))

    @program
    def first(key: Any) -> Any:
        assert made.scouts is not None
        return made.scouts.propose(random.key(1), made.init(key), lived)[1]

    given = first(random.key(0))
    assert given.number.tolist() == [NEW] * 8
    moved = np.abs(np.asarray(given.params.p[2:]) - (1 + np.arange(6) % 4) / 5)
    assert (moved < 3.01 / 64).all() and (moved > 0).all()

    made = make_curriculum("sfl", env, 4, {"kept": 3, "again": 2, "screened": 1, "refresh": 1})
    state, scouts = jax.jit(made.init)(random.key(0)), made.scouts
    assert scouts is not None
    update, propose = jax.jit(update_buffer), scouts.propose
    options = LevelOptions(capacity=3, decay=float(np.exp(-1.0)))
    known = Known(*(np.float32(x) for x in ([9, 2, 4], [1, 1, 1], [1, 1, 1], [1, 1, 1], [0, 0, 0])))
    buffer = state.buffer
    for only in ([1, 0, 0], [0, 1, 1]):
        levels, ones = Coin(np.float32([0.1, 0.2, 0.3])), np.ones(3, np.float32)
        buffer = update(buffer, np.full((3,), NEW), levels, ones, np.asarray(only, bool), known)
    np.testing.assert_allclose(
        program(lambda buffer: evidence(options, buffer))(buffer), [9 * np.exp(-1), 2, 4], rtol=1e-6
    )
    again = program(lambda key, buffer: propose(key, state.replace(buffer=buffer), lived)[1])
    given = again(random.key(1), buffer)
    np.testing.assert_allclose(given.params.p[1:], [0.2, 0.1])
    assert given.number.tolist() == [NEW, 1, 0]


def test_co_learnability_is_the_mean_fall_of_levels_that_were_there():
    config = BufferConfig(capacity=4, unique=True)
    of = lambda *x: Known(*([np.zeros(3, np.float32)] * 4), np.float32(x))
    levels, new = Coin(np.float32([0.1, 0.2, 0.3])), np.full((3,), NEW)
    ones, everyone = np.ones(3, np.float32), np.ones(3, bool)
    start = jax.jit(lambda: init_buffer(config, Coin(jnp.float32(0)), unknown()))
    update, fall = jax.jit(update_buffer), program(co_learnability_of)
    first = update(start(), new, levels, ones, everyone, of(5, 4, 1))
    number = np.asarray([0, 2, NEW])
    played = Coin(np.float32([0.1, 0.3, 0.4]))
    second = update(first, number, played, ones, everyone, of(3, 2, 9))
    assert float(fall(first, second, number)) == ((5 - 3) + (1 - 2)) / 2
    assert float(fall(first, second, new)) == 0.0


@pytest.fixture(scope="module")
def learner() -> Any:
    from jaxrl_evolve.learners.ppo import ppo
    from jaxrl_evolve.learners.ppo_config import PPOConfig
    from jaxrl_evolve.networks.network import NetworkConfig

    return ppo(coins(), 4, 8, PPOConfig(minibatches=1, epochs=1, network=NetworkConfig(hidden=(8,))))


@pytest.mark.parametrize("name", LEVEL_CURRICULA)
def test_every_method_is_a_curriculum_beside_ppo(name: str, learner: Any):
    made = make_curriculum(name, coins(), 4, {})
    check_curriculum(name, made, learner, coins(), 4, 8)
    assert made.restart


@pytest.mark.core
def test_vmapped_seeds_are_looped_ones_and_a_resumed_run_is_the_uninterrupted():
    """With replays, mutants, new levels and levels that are looked at again."""
    # Counts that do not decay are whole, so that the two programs round no score differently.
    options = {"capacity": 8, "min_fill": 0.25, "mutants": 2, "new": 2, "decay": 1.0}
    options["score"] = "posterior-learnability"
    made = make_curriculum("accel", coins(), 16, options)
    chunk = chunk_of(made)
    start = jax.jit(jax.vmap(lambda key: chunk.init(key, jnp.float32(0), coins().params)))
    states = start(jax.jit(lambda *keys: jnp.stack(keys))(random.key(0), random.key(1)))
    go = lambda state, updates: chunk.run(state, jnp.float32(0), (), coins().params, jnp.float32(4), updates)
    side_by_side, alone = jax.jit(jax.vmap(go, in_axes=(0, None))), jax.jit(go)
    whole = side_by_side(states, jnp.int32(4))[0]
    assert_equal(side_by_side(side_by_side(states, jnp.int32(1))[0], jnp.int32(3))[0], whole)
    assert (np.asarray(whole.tasks.running.number) != NEW).any()
    for i in range(2):
        pick = jax.jit(lambda tree, i=i: jax.tree.map(lambda x: x[i], tree))
        assert_close(alone(pick(states), jnp.int32(4))[0], pick(whole))


def test_a_compiled_step_calls_no_host_and_many_seeds_cost_what_they_are():
    """Nothing branches: vmapped, every branch would run for every seed, which a count of operations does not show, since of one
    seed it counts all branches as well. What is left costs eight seeds no more than a fifth above eight times one.
    """
    options = {"capacity": 8, "mutants": 2, "new": 2, "score": "posterior-learnability"}
    curriculum = make_curriculum("accel", coins(), 16, options)
    update = make_update(counting(), vectorize(coins(), 16, params_per_slot=True), 8, curriculum)
    state = jax.eval_shape(chunk_of(curriculum).init, random.key(0), jnp.float32(0), coins().params)
    many = jax.tree.map(lambda x: jax.ShapeDtypeStruct((8, *x.shape), x.dtype), state)
    go = lambda state: update(state, jnp.float32(0), (), coins().params, jnp.float32(4))
    one, eight = jax.jit(go).lower(state), jax.jit(jax.vmap(go)).lower(many)
    assert "callback" not in eight.as_text()
    assert "stablehlo.case" not in one.as_text() and "stablehlo.if" not in one.as_text()
    alone, beside = (x.cost_analysis()["flops"] for x in (one, eight))
    assert 4 * alone < beside <= 1.2 * 8 * alone, (alone, beside)


def test_what_does_not_fit_is_refused_in_one_sentence():
    asked = lambda name, env=None, **options: make_curriculum(name, env or coins(), 4, options)
    with pytest.raises(
        ValueError, match=r"has 'temprature', which plr does not take: did you mean temperature\?"
    ):
        asked("plr", temprature=1.0)
    with pytest.raises(ValueError, match=r"score is 'maxmc', which is not known: did you mean max-mc"):
        asked("plr", score="maxmc")
    for name in ("mna", "true-regret"):
        with pytest.raises(ValueError, match=rf"has 'score', which {name} does not take"):
            asked(name, score="value-l1")
    with pytest.raises(ValueError, match="prioritisation is 'ranks', which is not known: did you mean rank"):
        asked("accel", prioritisation="ranks")
    with pytest.raises(ValueError, match="temperature is 0.0; it must be above 0"):
        asked("robust-plr", temperature=0.0)
    with pytest.raises(
        ValueError, match="replay_probability is 0.0; robust-plr learns from replayed levels only"
    ):
        asked("robust-plr", replay_probability=0.0)
    with pytest.raises(ValueError, match="has 'replay_probability', which accel does not take"):
        asked("accel", replay_probability=0.5)
    with pytest.raises(
        ValueError,
        match=r"temperature is 0.3, which plr does not read where prioritisation is 'top-k': leave it out, or choose another prioritisation",
    ):
        asked("plr", temperature=0.3, prioritisation="top-k")
    for name, options, said in (
        ("plr", {"top": 5}, "top is 5, which plr does not read where prioritisation is 'rank'"),
        ("accel", {"best": "last"}, "best is 'last', which accel does not read where score is 'pvl'"),
        ("sfl", {"score": "learnability", "prior": 2.0}, "prior is 2.0, which sfl does not read where score"),
        ("accel", {"mutants": 0, "edits": 3}, "edits is 3, which accel does not read where mutants is 0"),
        ("robust-plr", {"replay_probability": 1.0, "scout_steps": 9}, "does not read where scouts is 0"),
    ):
        with pytest.raises(ValueError, match=said):
            asked(name, **options)
    assert asked("plr", temperature=1.0, prioritisation="top-k")  # as it is anyway
    assert asked("robust-plr", scout_steps=9).scouts.steps == 9
    with pytest.raises(ValueError, match="restart is 1; it must be True or False"):
        asked("random", restart=1)
    with pytest.raises(ValueError, match="step is -1.0; it must be a number of at least 0"):
        asked("ncc", step=-1.0)
    with pytest.raises(ValueError, match="tiny/Walk is one task only; .* could vary nan_rate"):
        asked("sfl", walk.make())
    from jaxrl_envs import make

    grid = make("grid/random-small")
    with pytest.raises(ValueError, match="grid/random-small has no `edit_params`"):
        asked("accel", grid)
    with pytest.raises(
        ValueError, match="grid/random-small does not say what a success is: give the option `threshold`"
    ):
        asked("sfl", grid)
    assert asked("sfl", grid, threshold=0.5).scouts is not None
    with pytest.raises(ValueError, match="coins has no `optimal_return`"):
        asked("true-regret", dataclasses.replace(coins(), optimal_return=None))
    with pytest.raises(ValueError, match="learner 'counting' has no critic of states"):
        run(asked("plr"), 1)
    with pytest.raises(ValueError, match="learner 'counting' does not say"):
        run(asked("pace"), 1)


def test_more_than_one_success_of_an_episode_is_one():
    lived = lived_through(5)[0]
    once, thrice = (visit_of(lived, lambda lived, n=n: n * success(lived), critic=False) for n in (1.0, 3.0))
    np.testing.assert_array_equal(once.successes, thrice.successes)
    assert (thrice.successes <= thrice.episodes).all() and thrice.successes.sum() > 0
