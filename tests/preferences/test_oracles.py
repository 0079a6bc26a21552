"""Oracles: antisymmetric in whatever they say, ties and noise as told, and what is no oracle is refused by the pair."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_envs.spaces import Box, Discrete
from jaxrl_evolve.learners.reward_model_config import RewardModelPPOConfig
from jaxrl_evolve.learners.spo_config import SPOConfig
from jaxrl_evolve.preferences import oracles
from jaxrl_evolve.preferences import summary as summaries
from jaxrl_evolve.preferences.check import check_oracle, check_table
from jaxrl_evolve.preferences.criteria import DEFAULT, criteria_from_name
from jaxrl_evolve.preferences.episodes import watched
from jaxrl_evolve.preferences.oracle import Oracle, from_advantage, frozen, label
from jaxrl_evolve.preferences.summary import Summary, random_summaries

summarise = program(summaries.summarise, "myopia")
summarise_segments = program(summaries.summarise_segments, "length", "myopia")
ITEMS = random_summaries(jax.random.key(0), 40)
RPS = [[0.0, -0.2, 0.6], [0.2, 0.0, -0.9], [-0.6, 0.9, 0.0]]
SHIPPED = {
    "max_reward": oracles.max_reward(0.3),
    "bt": oracles.bt(0.7),
    "flip": oracles.flip(oracles.max_reward(), 0.3),
    "coin": oracles.flip(oracles.max_reward(0.3), 0.5),
    "frozen": frozen(oracles.flip(oracles.max_reward(), 0.3), seed=4),
    "teacher": oracles.teacher(beta=2.0, mistake=0.1, skip=-3.0, equal=0.2),
    "populations": oracles.populations((0.4, 0.35, 0.25)),
    "sector_rps": oracles.sector_rps(RPS),
    "nonmarkov": oracles.nonmarkov(0.5),
    "length_hack": oracles.length_hack(oracles.bt(), 0.2),
    "length_gate": oracles.length_gate(oracles.bt(), 2.0),
    "near_duplicate": oracles.near_duplicate(oracles.bt(), 0.3),
    "mixed": oracles.mixed(oracles.bt(), oracles.sector_rps(RPS), 0.5),
}


def summary(**values):
    zero = dict.fromkeys(("total", "early", "late", "myopic"), 0.0)
    zero |= {"length": 1.0, "criteria": [0.0] * 3, "end": [0.0, 0.0]}
    return Summary(**{name: jax.device_put(np.float32(value)) for name, value in (zero | values).items()})


asked = program(lambda oracle, a, b: oracle.prob(a, b, None), "oracle")


def prob(oracle, a, b):
    return float(asked(oracle, summary(**a), summary(**b)))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_oracles_are_antisymmetric(name):
    check_oracle(SHIPPED[name], ITEMS)


def test_what_oracles_prefer():
    total = lambda name, a, b: prob(SHIPPED[name], {"total": a}, {"total": b})
    assert (total("max_reward", 2, 1), total("max_reward", 1.2, 1), total("max_reward", 1, 2)) == (1, 0.5, 0)
    assert total("bt", 1.4, 0) == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-6)
    assert total("flip", 2, 1) == pytest.approx(0.7) and total("flip", 1, 1) == 0.5
    assert total("near_duplicate", 1.2, 1) == pytest.approx(0.99) and total("near_duplicate", 2, 1) < 0.8
    longer = prob(SHIPPED["length_hack"], {"length": 5.0}, {"length": 2.0})
    assert longer == pytest.approx(0.7)
    most = prob(SHIPPED["populations"], {"criteria": [1.0, 0.0, 1.0]}, {"criteria": [0.0, 1.0, 1.0]})
    assert most == pytest.approx(0.4 + 0.25 / 2)
    at = lambda turn: {"end": [np.cos(turn * 2 * np.pi), np.sin(turn * 2 * np.pi)]}
    assert prob(SHIPPED["sector_rps"], at(0.5), at(0.1)) == pytest.approx(0.6)  # sector 1 beats 0 by 0.2
    late = lambda early, late: {"early": early, "late": late}
    nonmarkov = lambda a, b: prob(SHIPPED["nonmarkov"], a, b)
    assert nonmarkov(late(0, 0.5), late(9, 0.6)) == 1 and nonmarkov(late(2, 0), late(1, -1)) == 1
    assert nonmarkov(late(0, 0.6), late(9, 0.7)) == 1


def test_a_gate_leaves_nothing_of_what_length_alone_decides():
    plain, hacked = oracles.bt(), oracles.length_hack(oracles.bt(), 0.3)
    gated = oracles.length_gate(hacked)
    for own, other in ((5.0, 5.0), (5.0, 4.0), (4.0, 16.0)):
        a, b = {"total": 1.0, "length": own}, {"total": 0.25, "length": other}
        assert prob(gated, a, b) == pytest.approx(prob(plain, a, b) if own == other else 0.5)
        assert own == other or prob(hacked, a, b) != pytest.approx(prob(plain, a, b))
    near = oracles.length_gate(plain, 2.0)
    assert prob(near, {"total": 1.0, "length": 3.0}, {"length": 1.0}) == pytest.approx(1 / (1 + np.exp(-1)))
    assert prob(near, {"total": 1.0, "length": 3.5}, {"length": 1.0}) == 0.5
    with pytest.raises(ValueError, match="most is -1"):
        oracles.length_gate(plain, -1.0)


def test_what_is_done_to_an_oracle_keeps_what_it_calls_a_tie():
    """Regression: an answer of 0.55, which it does not stand by, was one after all."""
    base = from_advantage("unsure", lambda a, b, _: 0.1 * jnp.sign(a.total - b.total), 0.2)
    for changed in (oracles.length_gate(base), oracles.near_duplicate(base, 0.1), oracles.flip(base, 0.1)):
        assert changed.tie_band > 0
    for made in (lambda: oracles.length_hack(base, 0.1), lambda: oracles.mixed(base, oracles.bt(), 0.5)):
        with pytest.raises(
            ValueError,
            match="tie_band of 'unsure' is 0.2; what is added to it moves its ties, so it must be 0",
        ):
            made()


def test_a_teacher_makes_mistakes_says_nothing_and_calls_equals_equal():
    of = lambda total, myopic: {"total": total, "myopic": myopic}
    strict = oracles.teacher(mistake=0.1, skip=-3.0, equal=0.2)
    teacher = lambda a, b: prob(strict, a, b)
    assert teacher(of(1, 2), of(2, 1)) == pytest.approx(0.9)  # myopic returns decide
    assert teacher(of(1, 2), of(1.1, 1)) == 0.5 and teacher(of(-4, 2), of(-5, 1)) == 0.5
    assert prob(oracles.teacher(beta=2.0), of(0, 1), of(1, 0)) == pytest.approx(
        1 / (1 + np.exp(-2)), abs=1e-6
    )


def test_labels_are_drawn_with_their_probability_and_ties_are_halves():
    a, b = summary(total=1.0), summary(total=0.0)
    key, of = jax.random.key(1), program(label, "oracle")
    many = jax.vmap(lambda key: label(SHIPPED["flip"], key, a, b))
    draws = program(lambda key: many(jax.random.split(key, 4_000)))(key)
    assert set(np.unique(draws)) == {0.0, 1.0} and float(draws.mean()) == pytest.approx(0.7, abs=0.03)
    assert float(of(SHIPPED["flip"], key, a, a)) == 0.5
    band = oracles.bt()._replace(tie_band=0.5)  # |2 P - 1| of a difference of 1 is 0.46
    assert float(of(band, key, a, b)) == 0.5


@pytest.mark.parametrize(
    "oracle",
    [
        SHIPPED["coin"],
        oracles.teacher(mistake=0.5),
        oracles.near_duplicate(oracles.bt(), 9.0, 0.5),
        oracles.flip(SHIPPED["coin"], 0.49),
    ],
    ids=lambda oracle: oracle.name,
)
def test_noise_that_says_nothing_is_a_coin_and_no_tie(oracle):
    a, b = summary(total=1.0, myopic=1.0), summary(total=0.0)

    def draws(key):
        keys = jax.random.split(key, 4_000)
        of = lambda x: jax.vmap(lambda k: label(oracle, k, a, x))(keys)
        return of(b), of(a)

    apart, alike = program(draws)(jax.random.key(1))
    assert set(np.unique(apart)) == {0.0, 1.0} and float(apart.mean()) == pytest.approx(0.5, abs=0.04)
    np.testing.assert_array_equal(alike, 0.5)


def test_a_frozen_pair_keeps_its_answer_in_both_orders_and_other_pairs_have_theirs():
    oracle = SHIPPED["frozen"]
    ask = program(jax.vmap(lambda a, b: oracle.prob(a, b, None)))
    some = jax.device_get(random_summaries(jax.random.key(2), 2_000))
    first, second = (jax.device_put(jax.tree.map(lambda x, part=part: x[part::2], some)) for part in (0, 1))
    forth, back = ask(first, second), ask(second, first)
    np.testing.assert_array_equal(forth + back, 1.0)
    one, other = np.asarray(first.total), np.asarray(second.total)
    better = np.where(one > other, forth, back)[one != other]
    assert np.mean(better) == pytest.approx(0.7, abs=0.05)  # three of ten are turned round, and stay so
    of_another = jax.vmap(lambda a, b: frozen(SHIPPED["flip"], seed=5).prob(a, b, None))
    assert 0.2 < np.mean(program(of_another)(first, second) != forth) < 0.6


def test_summaries_count_what_belongs_to_the_episode():
    reward = np.float32([1.0, 2.0, 4.0, 8.0, np.nan, 5.0, 1.0, 1.0])
    alive = np.asarray([True] * 4 + [False] * 4)
    found = summarise(reward, alive, criteria=np.ones((8, 2), np.float32), myopia=0.5)
    assert (float(found.total), float(found.early), float(found.late), float(found.length)) == (15, 15, 0, 4)
    assert float(found.myopic) == 1 / 8 + 2 / 4 + 4 / 2 + 8 and found.criteria.tolist() == [4, 4]
    whole = summarise(np.arange(8, dtype=np.float32), np.ones(8, bool))
    assert (float(whole.early), float(whole.late)) == (15, 13)


def test_segments_are_summaries_of_their_steps():
    reward, alive = np.arange(6, dtype=np.float32), np.asarray([True] * 5 + [False])
    found = summarise_segments(reward, alive, 2, criteria=-reward[:, None])
    assert found.total.tolist() == [1, 5, 4] and found.length.tolist() == [2, 2, 1]
    assert found.criteria[:, 0].tolist() == [-1, -5, -4]
    assert summarise_segments(reward, alive, 3).total.tolist() == [3, 7]
    with pytest.raises(ValueError, match="length is 4; it must divide the horizon, 6"):
        summarise_segments(reward, alive, 4)


def test_tables_are_checked_exactly():
    good = np.array([[0.5, 0.2], [0.8, 0.5]])
    assert float(oracles.table(good).prob(jnp.int32(1), jnp.int32(0), None)) == pytest.approx(0.8)
    for bad, told in (
        ([[0.5, 0.2], [0.7, 0.5]], r"table\[0, 1\] is 0.2 and table\[1, 0\] 0.7; they must add up to 1"),
        ([[0.6, 0.2], [0.8, 0.5]], r"table\[0, 0\] is 0.6; an item beats itself with 1/2"),
        ([[0.5, -0.2], [1.2, 0.5]], r"table\[0, 1\] is -0.2; a probability must be between 0 and 1"),
        ([[0.5, np.nan], [0.5, 0.5]], r"table\[0, 1\] is nan"),
        ([[0.5, 0.5]], r"shape \(1, 2\)"),
    ):
        with pytest.raises(ValueError, match=told):
            check_table(bad)


@pytest.mark.parametrize(
    ("prob", "told"),
    [
        (lambda a, b, _: jax.nn.sigmoid(a.total), "must add up to 1"),
        (lambda a, b, _: 0.5 + a.total - b.total, "between 0 and 1"),
        (
            lambda a, b, _: jnp.where(a.total >= b.total, 1.0, 0.0),
            "items .* and .*; the two must add up to 1",
        ),
        (lambda a, b, _: a.criteria, "one number"),
        (lambda a, b, _: 0.5 + 0.1 * np.random.default_rng().uniform() * jnp.sign(a.total - b.total), "pure"),
    ],
)
def test_what_is_no_oracle_is_refused_by_the_pair(prob, told):
    with pytest.raises(ValueError, match=told):
        check_oracle(Oracle("mine", prob), ITEMS)


def test_what_raises_or_is_no_oracle_is_named():
    def failing(a, b, context):
        raise KeyError("x")

    with pytest.raises(ValueError, match="oracle 'mine' failed with KeyError: 'x'"):
        check_oracle(Oracle("mine", failing), ITEMS)
    with pytest.raises(ValueError, match="oracle 'mine' failed with TypeError"):
        check_oracle(Oracle("mine", lambda a, b: 0.5), ITEMS)
    for band in (float("nan"), -1.0):
        with pytest.raises(ValueError, match="tie_band of oracle 'mine' is .*; it must be between 0 and 1"):
            check_oracle(Oracle("mine", SHIPPED["bt"].prob, band), ITEMS)


@pytest.mark.skipif(os.environ.get("TYPE_CHECKS", "on") != "off", reason="annotations refuse it before")
def test_a_text_is_no_oracle():
    with pytest.raises(ValueError, match="oracle is 'max_reward'; it must be an Oracle"):
        check_oracle("max_reward", ITEMS)


def test_a_check_of_few_pairs_is_no_check():
    with pytest.raises(ValueError, match="pairs is 10"):
        check_oracle(SHIPPED["bt"], ITEMS, pairs=10)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: oracles.flip(oracles.bt(), 1.5), "rate is 1.5"),
        (lambda: oracles.bt(0.0), "temperature is 0.0"),
        (lambda: oracles.populations((0.5, 0.6)), "weights is"),
        (lambda: oracles.max_reward(float("nan")), "tie is nan"),
        (lambda: oracles.sector_rps([[0.0, 0.5], [0.5, 0.0]]), "sector_rps"),
    ],
)
def test_settings_of_oracles_are_refused_by_name(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_an_action_is_as_much_effort_as_is_done():
    box = Box(-1.0, 0.5, (3,))
    action, reward = jnp.array([-4.0, 0.25, 9.0]), jnp.float32(2.0)
    seen = watched(box, 7)
    np.testing.assert_allclose(seen.criteria(0, action, reward, 0), [2.0, -(1.0 + 0.0625 + 0.25), 1.0])
    assert seen == watched(Box(-1.0, 0.5, (3,)), 7)  # so that no program is made twice
    np.testing.assert_allclose(watched(Discrete(9), 7).criteria(0, jnp.int32(8), reward, 0), [2.0, 0.0, 1.0])


def test_criteria_have_names():
    """Each of one step; what is near falls in straight lines from its target, and is never below 0."""
    box, reward = Box(-1.0, 0.5, (3,)), jnp.float32(2.0)
    action, after = jnp.array([-4.0, 0.25, 9.0]), jnp.array([1.0, -0.05, 7.0])
    seen = watched(box, 7, "observed:2, effort,near:1:0:0.2,near:0:0.5:0.4,return,length")
    told = seen.criteria(jnp.zeros(3), action, reward, after)
    np.testing.assert_allclose(told, [7.0, -(1.0 + 0.0625 + 0.25), 0.75, 0.0, 2.0, 1.0], rtol=1e-6)
    assert seen == watched(
        Box(-1.0, 0.5, (3,)), 7, "observed:2, effort,near:1:0:0.2,near:0:0.5:0.4,return,length"
    )
    # The default is what always was, and what configurations say.
    same = criteria_from_name(DEFAULT, box)(0, action, reward, after)
    np.testing.assert_allclose(same, watched(box, 7).criteria(0, action, reward, after))
    assert watched(box, 7, DEFAULT) == watched(box, 7)
    assert SPOConfig().criteria == RewardModelPPOConfig().criteria == DEFAULT
    choices = criteria_from_name("effort,observed:0", Discrete(3))(0, jnp.int32(2), reward, jnp.int32(4))
    np.testing.assert_allclose(choices, [0.0, 4.0])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "criteria is ''; it must be text such as 'return,effort,length'"),
        ("efort", "there is no 'efort': did you mean effort"),
        ("observed", "observed reads observed:PLACE, with numbers"),
        ("return:1", "return reads return, with numbers"),
        ("near:1:nan:1", "near reads near:PLACE:TARGET:WIDTH, with numbers"),
        ("near:1:0:0", "width is 0.0; it must be a number above 0"),
        ("observed:-1", "place is -1"),
        ("observed:0.5", "place is 0.5"),
    ],
)
def test_criteria_that_are_none_are_refused(text, told):
    with pytest.raises(ValueError, match=told):
        watched(Discrete(2), 7, text)


def test_a_place_beyond_what_is_observed_is_refused():
    seen = watched(Discrete(2), 7, "observed:3")
    with pytest.raises(ValueError, match="place 3 of observations, which have 3 numbers, counted from 0"):
        seen.criteria(0, jnp.int32(0), jnp.float32(0), jnp.zeros(3))
