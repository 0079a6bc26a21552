"""Ranges in rules and predicates: read, written and refused; a reset draws the numbers, and the episode is that of a spec with these."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import spec_drawn

from jaxrl_envs import check
from jaxrl_envs.specs import SpecError, decoding, encoding, feasibility, language, ranges, tech_tree
from jaxrl_envs.specs.caps import PRESETS
from jaxrl_envs.specs.engine import engine
from jaxrl_envs.specs.environments import from_spec
from jaxrl_envs.specs.instructions import ends

GRID, CAPS, BATCH = language("grid"), PRESETS["small"], 16
MORE = {"low": 1, "high": 3}
IMPOSSIBLE = "where numbers of its ranges are drawn so"


def data(**changes):
    """Gems that a rule gives for keys; numbers of the rule and of the predicates are changed."""
    rule = {
        "when": "interact", "of": "chest", "needs": [{"item": "key", "count": changes.get("needs", 1)}],
        "at_most": [{"item": "gem", "count": changes.get("at_most", 8)}],
        "changes": [{"item": "gem", "count": changes.get("gives", 1)}], "health": changes.get("health", 0),
        "chance": changes.get("chance", 1), "becomes": "floor",
    }  # fmt: skip
    timer = {"when": "timer", "every": changes.get("every", 5), "spawns": "bug", "where": "anywhere", "most": changes.get("most", 2)}  # fmt: skip
    return {
        "height": 5, "width": 5, "time_limit": 50, "difficulty": changes.get("difficulty", 1),
        "types": [{"name": "key", "pickable": True}, {"name": "chest"}, {"name": "gem"}, {"name": "bug", "hazard": 1}],
        "terrain": [{"op": "scatter", "type": name, "count": 3} for name in ("key", "chest")],
        "agent": {}, "rules": [rule, timer],
        "predicates": [{"name": "rich", "kind": "holds", "of": "gem", "number": changes.get("number", 2), "compare": changes.get("compare", ">=")},
                       {"name": "by_chest", "kind": "near", "of": "chest", "number": changes.get("near", 1)}],
        "success": [{"all": ["rich"], "none": []}], "failure": [],
    }  # fmt: skip


def refusal(**changes):
    with pytest.raises(SpecError) as error:
        GRID.read(data(**changes))
    return str(error.value)


def test_ranges_are_part_of_the_form_the_hash_the_words_and_the_arrays():
    rng = np.random.default_rng(0)
    for _ in range(10):
        spec = spec_drawn.drawn(rng, ranged=True)
        written = GRID.write(spec)
        assert ranges.has_ranges(spec) and GRID.read(json.dumps(written)) == spec
        assert decoding.decode(encoding.encode(spec, "large"), spec) == spec
        assert feasibility.infeasible(spec) or GRID.repair(written) == (written, [])
    plain, some = (
        GRID.read(data()),
        GRID.read(data(needs=MORE, chance={"low": 0.25, "high": 0.5}, number=MORE)),
    )
    hashes = {GRID.identity(GRID.read(data(number={"low": 2, "high": high}))) for high in (2, 3, 4)}
    assert len(hashes) == 3 and GRID.identity(plain) in hashes  # a range of one number is that number
    assert GRID.read(data(number={"low": 2, "high": 2}, chance={"low": 1, "high": 1})) == plain
    assert isinstance(GRID.read(data(number={"low": 2, "high": 2})).predicates[1].number, int)
    said = GRID.describe(some)
    assert (
        "has 1 to 3 key" in said and "with probability 0.25 to 0.5" in said and "gem held >= 1 to 3" in said
    )
    assert "-1 to +2 health" in GRID.describe(GRID.read(data(health={"low": -1, "high": 2})))
    assert np.linalg.norm(GRID.features(plain) - GRID.features(some)) > 0.1
    assert decoding.decode(encoding.encode(plain, ranged=True), plain) == plain
    with pytest.raises(ValueError, match="ranged is False; it must be True or None"):
        encoding.encode(some, ranged=False)


def test_ranges_are_refused_and_mended_field_by_field():
    back = {"low": 3, "high": 1}
    for field, path in {
        "needs": "rules[0].needs[0].count", "at_most": "rules[0].at_most[0].count", "gives": "rules[0].changes[0].count",
        "health": "rules[0].health", "chance": "rules[0].chance", "every": "rules[1].every", "most": "rules[1].most",
        "number": "predicates[0].number",
    }.items():  # fmt: skip
        wrong = {"low": 0.5, "high": 0.25} if field == "chance" else back
        low, high = ("0.5", "0.25") if field == "chance" else ("3", "1")
        assert refusal(**{field: wrong}) == f"{path}.low is {low}; it must be at most high, which is {high}"
        mended, said = GRID.repair(data(**{field: wrong}))
        assert any(line.startswith(f"{path} goes from") for line in said) and GRID.read(mended)
    whole = "it must be a whole number from 0 to 10000"
    assert refusal(number={"low": 1.5, "high": 2}) == f"predicates[0].number.low is 1.5; {whole}"
    assert refusal(number=2.0) == f"predicates[0].number is 2.0; {whole}, or an object with low and high"
    assert refusal(needs={"low": 1, "high": 10}).startswith("rules[0].needs[0].count.high is 10; it must be")
    assert refusal(needs={"low": 1, "hi": 2}).startswith("rules[0].needs[0].count.high: it must be given")
    doors = data()
    doors["rules"][0]["every"] = MORE
    with pytest.raises(SpecError, match="every is 1 to 3; it must be 1 where when is 'interact'"):
        GRID.read(doors)


def test_success_must_be_possible_for_every_number_that_may_be_drawn():
    assert feasibility.infeasible(GRID.read(data(needs=MORE, number=MORE, gives=MORE))) == []
    never = (
        "success[0] cannot come about for all numbers of its ranges: 'rich' needs 1 'gem' in the inventory"
    )
    for easy, hard in (("gives", {"low": 0, "high": 1}), ("chance", {"low": 0, "high": 1})):
        spec = GRID.read(data(**{easy: hard, "number": {"low": 0, "high": 1}, "compare": "=="}))
        assert [line[: len(never)] for line in feasibility.infeasible(spec)] == [never]
    assert refusal(number={"low": 2, "high": 12}) == (
        f"success[0]: it can never hold, since what 'rich' counts is from 0 to 9, {IMPOSSIBLE}"
    )
    assert (
        refusal(number={"low": 0, "high": 3})
        == f"success[0]: it always holds, so it tells nothing, {IMPOSSIBLE}"
    )
    held = data(needs={"low": 1, "high": 3})
    held["rules"][0]["at_most"] = [{"item": "key", "count": {"low": 2, "high": 5}}]
    with pytest.raises(
        SpecError, match="count is 1 to 3; it must be no more than at_most allows of 'key', which is 2"
    ):
        GRID.read(held)
    both = data(number=MORE)
    both["predicates"].append(
        {"name": "poor", "kind": "holds", "of": "gem", "compare": "<=", "number": {"low": 2, "high": 4}}
    )
    both["success"] = [{"all": ["poor", "rich"], "none": []}]
    with pytest.raises(SpecError, match=f"what it asks of holds 'gem' contradicts itself, {IMPOSSIBLE}"):
        GRID.read(both)


@functools.cache
def programs():
    made = engine(CAPS, CAPS.view)
    return jax.jit(jax.vmap(made.reset)), jax.jit(jax.vmap(made.step))


def stacked(params):
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *params)


def test_an_episode_is_that_of_a_spec_with_the_numbers_that_were_drawn():
    rng = np.random.default_rng(3)
    specs = [spec_drawn.drawn(rng, 12, ranged=i % 4 > 0) for i in range(BATCH)]
    params = stacked([encoding.encode(spec, ranged=True) for spec in specs])
    reset, step = programs()
    keys = jax.random.split(jax.random.key(0), BATCH)
    obs, state = reset(keys, params)
    plain = ranges.settled(params, state.drawn)
    assert plain.ranges is None
    for i, spec in enumerate(specs):
        played = decoding.decode(jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), plain), spec)
        assert not ranges.has_ranges(played) and (played == spec) == (i % 4 == 0)
        for was, told in zip(spec.predicates, played.predicates, strict=True):
            low, high = ends(was.number)
            assert low <= told.number <= high and (was.name, was.kind, was.of) == (
                told.name,
                told.kind,
                told.of,
            )
    # Of the same keys map and possessions are those that there are without ranges.
    other_obs, other = reset(keys, plain)
    assert other.drawn is None
    for t in range(30):
        mine, theirs = (jax.tree.leaves(x) for x in ((obs, state.replace(drawn=None)), (other_obs, other)))
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=str(t))
        keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
        action = jnp.asarray(rng.integers(0, 7, BATCH), jnp.int32)
        first = state.drawn
        out, other_out = step(keys, state, action, params), step(keys, other, action, plain)
        np.testing.assert_array_equal(out.reward, other_out.reward)
        (obs, state), (other_obs, other) = (out.obs, out.state), (other_out.obs, other_out.state)
        jax.tree.map(np.testing.assert_array_equal, state.drawn, first)
    assert reset._cache_size() == step._cache_size() == 2  # with ranges, and without


def test_numbers_are_drawn_evenly_as_far_as_the_difficulty_lets_them_go():
    spec = GRID.read(data(needs={"low": 1, "high": 5}, chance={"low": 0.25, "high": 0.75}, number={"low": 1, "high": 9}, every={"low": 2, "high": 4}, difficulty=0.5))  # fmt: skip
    params = encoding.params_of(spec)
    drawn = jax.device_get(
        jax.vmap(ranges.draw, (0, None))(jax.random.split(jax.random.key(0), 3_000), params)
    )
    rule = [r.when for r in spec.rules].index("interact")
    rich = [p.name for p in spec.predicates].index("rich")
    key = 2 + [t.name for t in spec.types].index("key")
    for numbers, values in (
        (drawn.needs[:, rule, key], (1, 2, 3)),
        (drawn.number[:, rich], (1, 2, 3, 4, 5)),
        (drawn.every[:, 1 - rule], (2, 3)),
    ):
        counts = np.asarray([(numbers == value).sum() for value in values])
        assert counts.sum() == 3_000 and abs(counts / 3_000 - 1 / len(values)).max() < 0.04
    chance = drawn.chance[:, rule]
    assert 0.25 <= chance.min() < 0.26 and 0.49 < chance.max() <= 0.5 and abs(chance.mean() - 0.375) < 0.01
    pairs = np.corrcoef(drawn.needs[:, rule, key], drawn.number[:, rich])
    assert abs(pairs[0, 1]) < 0.08  # one by one
    usual = tech_tree.original()
    assert (
        encoding.encode(usual).ranges is None
        and ranges.draw(jax.random.key(0), encoding.encode(usual)) is None
    )


def test_environments_with_ranges_keep_their_types():
    env = from_spec(GRID.read(data(needs=MORE, number={"low": 1, "high": 4})))
    assert env.params.ranges is not None
    check.check_types(env)
