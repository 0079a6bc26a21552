"""Several oracles in one run of SPO: who is compared with whom, what is paid and counted, and a bandit that chooses among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk
from compiled import program
from same import assert_equal

from jaxrl_envs import variants
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import TrainConfig, make_chunk, random
from jaxrl_evolve.curricula.arms.curriculum import arm_curriculum
from jaxrl_evolve.learners import spo_oracles, spo_payoff
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.spo import spo
from jaxrl_evolve.learners.spo_config import SPOConfig, SPOHyperparameters
from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.horizon_arms import horizon_curriculum
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.preferences import summary
from jaxrl_evolve.preferences.named import oracles_from_names
from jaxrl_evolve.preferences.oracle import Marked, Oracle, by_mark
from jaxrl_evolve.preferences.oracles import bt, max_reward
from jaxrl_evolve.training.experiment import build, traced

N, TWO = 16, "flips:0.5,max_reward"
SMALL = SPOConfig(
    epochs=1, minibatches=1, horizon=walk.LENGTH, network=NetworkConfig(hidden=(8,)), check_oracle=False
)
HP = SPOHyperparameters(learning_rate=1e-2)
random_summaries = program(summary.random_summaries, "number")
compared = program(spo_payoff.compared, "oracle", "most", "soft")
by_oracle = program(spo_oracles.by_oracle, "oracles")


def run_of(config: SPOConfig, updates: int, method: str = "", **options: Any) -> Any:
    """State and metrics of a run of 16 walks, with a curriculum over the oracles if one is named."""
    env, curriculum = walk.make(), None
    if method:
        env = variants(env, [*oracles_from_names(config.oracles)], "oracle")
        curriculum = arm_curriculum(method, env, N, **options)
    learner = spo(env, N, walk.LENGTH, config, HP)
    venv = vectorize(env, N, params_per_slot=curriculum is not None)
    chunk, hp = make_chunk(learner, venv, walk.LENGTH, curriculum), traced(HP)

    @jax.jit
    def whole(key: Any) -> Any:
        state = chunk.init(key, hp, env.params)
        return chunk.run(state, hp, (), env.params, jnp.float32(updates), jnp.int32(updates))

    return whole(random.key(0))


def test_one_oracle_alone_is_the_plain_run():
    """To the last bit: the same labels are drawn of the same pairs, whoever else might have judged."""
    plain, metrics = run_of(replace(SMALL, preference="flips:0.3"), 3)
    state, found = run_of(replace(SMALL, oracles="bt:2,flips:0.3"), 3, "uniform", available=(0, 1))
    assert_equal(state.learner, plain.learner)
    assert_equal({name: found[name] for name in metrics}, metrics)
    assert float(found["compared_flips:0.3"]) == N and float(found["compared_bt:2"]) == 0
    np.testing.assert_array_equal(found["payoff_spread_flips:0.3"], found["payoff_spread"])


def test_episodes_of_different_oracles_are_not_compared():
    """Against a loop over pairs: returns of either oracle are ranked among themselves, by the second one backwards."""
    rng = np.random.default_rng(0)
    steps, slots = 9, 6
    phi = jax.tree.map(
        lambda x: x.reshape((steps, slots, *x.shape[1:])), random_summaries(random.key(0), steps * slots)
    )
    ended, judges = rng.random((steps, slots)) < 0.6, rng.integers(0, 3, (steps, slots)).astype(np.int32)
    judges[0, 0], ended[0, 0] = 3, True  # one whom nobody judges
    worse = Oracle("worst", lambda a, b, context: 1.0 - max_reward().prob(a, b, context))
    oracle = by_mark((max_reward(), worse, max_reward(3.0)))
    found = compared(oracle, random.key(1), phi, ended, steps * slots, None, False, None, judges)
    total, expected = np.asarray(phi.total), np.zeros((steps, slots))
    queries, there = 0, np.zeros((steps, slots), bool)
    for one in zip(*np.nonzero(ended), strict=True):
        others = [i for i in zip(*np.nonzero(ended), strict=True) if i != one and judges[i] == judges[one]]
        if judges[one] == 3 or not others:
            continue
        apart = np.array([total[one] - total[i] for i in others])
        won = {0: np.sign(apart), 1: -np.sign(apart), 2: np.where(abs(apart) <= 3, 0, np.sign(apart))}
        expected[one], there[one] = won[judges[one]].mean(), True
        queries += len(others)
    assert there.sum() > 10 and len({*judges[there]}) == 3
    np.testing.assert_allclose(found.payoff, expected, atol=1e-6)
    np.testing.assert_array_equal(found.there, there)
    assert int(found.queries) == queries // 2 and float(found.compared) == there.sum()
    told = by_oracle(found, judges, ("a", "b c", "d"))
    assert {*told} == {*spo_oracles.told_of(("a", "b c", "d"))}
    for number, name in enumerate(("a", "b_c", "d")):
        of = there & (judges == number)
        assert float(told[f"compared_{name}"]) == of.sum()
        np.testing.assert_allclose(told[f"payoff_spread_{name}"], np.sqrt((expected[of] ** 2).mean()), 1e-5)


def test_groups_are_cut_by_oracle():
    phi = jax.tree.map(lambda x: x[None], random_summaries(random.key(0), 4))
    group, judges = np.array([[0, 0, 1, 1]], np.int32), np.array([[0, 0, 0, 1]], np.int32)
    oracle = by_mark((max_reward(), bt()))
    found = compared(oracle, random.key(1), phi, np.ones((1, 4), bool), 4, None, False, group, judges)
    assert int(found.queries) == 1 and found.there.tolist() == [[True, True, False, False]]


def test_a_bandit_moves_to_the_oracle_that_tells_episodes_apart():
    """Answers at random have a spread of payoffs near 1 / sqrt(n - 1); those of the returns one of ranks."""
    state, found = run_of(
        replace(SMALL, oracles=TWO), 60, "sec", signal="payoff", temperature=0.05, floor=0.1, step=0.2
    )
    assert float(found["payoff_spread_max_reward"]) > float(found["payoff_spread_flips:0.5"]) + 0.1
    shares = np.asarray(state.tasks.curriculum.share)
    assert shares[1] > 0.75 and abs(shares.sum() - 1) < 1e-5
    each = [float(found[f"compared_{name}"]) for name in TWO.split(",")]
    assert each[1] > 2 * each[0] and sum(each) <= N
    # Fewer than the N (N - 1) / 2 of a batch without arms, and as many as the two groups have pairs.
    assert float(state.learner.queries.total) < 60 * N * (N - 1) / 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"oracles": "flips:2"}, "rate is 2.0; it must be a number between 0 and 1"),
        ({"oracles": "bt:1,bt:1"}, "oracles is 'bt:1,bt:1'; it must name none twice"),
        ({"oracles": TWO}, "but tiny/Walk does not tell which of them judges an episode: put jaxrl_envs.variants"),
        ({"oracles": TWO, "preference": "bt:1"}, "learner.preference is 'bt:1'; with learner.oracles, who"),
        ({"oracles": TWO, "comparators": "queue"}, "learner.comparators is 'queue' and learner.against ''; with"),
    ],
)  # fmt: skip
def test_what_is_refused_of_oracles(changes: Any, message: str):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        spo(walk.make(), N, walk.LENGTH, replace(SMALL, **changes), HP)


def test_oracles_of_ones_own_need_names_and_one_band():
    env = variants(walk.make(), ["a", "b"], "oracle")
    learner = spo(env, N, walk.LENGTH, SMALL, HP, oracle={"a": max_reward(), "b": bt()})
    assert learner.tells == ("payoff_spread_a", "payoff_spread_b", "compared_a", "compared_b")
    with pytest.raises(ValueError, match="oracle is an empty mapping; it must have at least one"):
        spo(env, N, walk.LENGTH, SMALL, HP, oracle={})
    with pytest.raises(ValueError, match=r"oracles have the tie bands \[0.0, 0.1\]; there must be"):
        by_mark((max_reward(), max_reward()._replace(tie_band=0.1)))
    odd = by_mark((bt(),)).prob(*[Marked(x, jnp.int32(-1)) for x in [random_summaries(random.key(0), 1)] * 2], None)  # fmt: skip
    assert np.isnan(odd).all()


def settings(**changes: Any) -> TrainConfig[Any, Any]:
    learner = {"oracles": TWO, "minibatches": 2, "network": {"hidden": (8,)}, "horizon": walk.LENGTH}
    values: dict[str, Any] = {
        "learner": learner,
        "curriculum": "thompson-gaussian",
        "curriculum_options": {"signal": "payoff"},
    }
    return TrainConfig.preset("spo", walk.NAME, steps=640, num_envs=4, rollout_length=16, **values | changes)


def test_settings_name_the_arms():
    experiment = build(settings())
    assert experiment.env.arms is not None and experiment.env.arms.names == tuple(TWO.split(","))
    assert experiment.curriculum is not None and set(experiment.curriculum.told) == {
        *experiment.learner.tells
    }
    with pytest.raises(
        ValueError, match="but there is no curriculum to choose among them: name one, such as"
    ):
        build(settings(curriculum="", curriculum_options={}))
    with pytest.raises(
        ValueError, match=r"learns from payoff_spread_0, which learner 'spo-ppo' does not tell"
    ):
        build(settings(curriculum_options={"signal": "payoff", "arms": "variant=0,1"}))
    env = variants(walk.make(), TWO.split(","))
    curriculum = arm_curriculum("sec", env, N, signal="payoff")
    with pytest.raises(
        ValueError, match="learns from payoff_spread_flips:0.5, which learner 'ppo' does not tell"
    ):
        make_chunk(ppo(env, N, 8), vectorize(env, N, params_per_slot=True), 8, curriculum)


def test_lives_of_agents_have_no_oracles():
    words = {"curriculum": "sec", "curriculum_options": {"signal": "payoff"}}
    horizons = {"kind": "arms", "choices": (2, 4)}
    config = MetaTrainConfig.preset("ta-lpg", "chain/delayed-short", horizons=horizons, **words)
    with pytest.raises(
        ValueError, match="learns from what an oracle of preferences says, which there is none of"
    ):
        horizon_curriculum(config)
