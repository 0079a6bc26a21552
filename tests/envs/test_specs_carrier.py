"""Specs of the agent that carries: rulesets of XLand-MiniGrid step by step beside an oracle, and what the language makes of them."""

import collections
import contextlib
import functools
import json
from dataclasses import fields

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import spec_drawn
import xland_oracle

from jaxrl_envs import check
from jaxrl_envs.specs import (
    SpecError,
    decoding,
    encoding,
    feasibility,
    ladder,
    language,
    picture,
    tech_tree,
    xland,
)
from jaxrl_envs.specs.caps import PRESETS
from jaxrl_envs.specs.engine import engine
from jaxrl_envs.specs.environments import from_spec
from jaxrl_envs.specs.episode import GridState
from jaxrl_envs.specs.kinds import kind_of
from jaxrl_envs.specs.model import DEEDS

GRID, CAPS, VIEW, SIDE, BATCH = language("grid"), PRESETS["small"], 5, 6, 64
THINGS = [(3, 1), (4, 2), (6, 3), (7, 5), (12, 11)]
"""Ball, square, goal (which is walked on), key, star."""


@functools.cache
def programs():
    made = engine(CAPS, VIEW)
    return jax.jit(jax.vmap(made.reset)), jax.jit(jax.vmap(made.step))


def ruleset(rng, goal=None):
    """One with every kind of rule and of goal, crowded so that they fire."""
    thing = lambda: list(THINGS[rng.integers(len(THINGS))])
    made = lambda: thing() if rng.random() < 0.8 else [1, 7]
    rules = []
    for kind in rng.permutation(np.arange(12))[:10]:
        two = 3 <= kind <= 7
        rules.append([int(kind), *thing(), *(thing() if two else []), *made(), *([] if two else [0, 0])])
    kind = int(rng.integers(1, 15)) if goal is None else goal
    cell = [int(x) for x in rng.integers(1, SIDE - 1, 2)]
    asked = {5: [*thing(), *cell], 6: [*cell, 0, 0]}.get(kind, [*thing(), *thing()])
    inside = [*(thing() for _ in range(9)), [0, 0]]
    return np.asarray([kind, *asked]), np.asarray(rules), np.asarray(inside)


def begun(rules, spec, state, i):
    pairs = [tuple(int(x) for x in pair) for pair in xland.tiles_of(spec)]
    grid = {(r, c): pairs[state.grid[i, r, c]] for r in range(SIDE) for c in range(SIDE)}
    at, facing = (int(state.row[i]), int(state.column[i])), int(state.facing[i])
    return xland_oracle.Oracle(rules[0], rules[1], grid, at, facing, spec.time_limit), pairs


def compare(seed, steps):
    rng = np.random.default_rng(seed)
    sets = [ruleset(rng, 1 + i % 14) for i in range(BATCH)]
    specs = [xland.translate(*rules, height=SIDE, width=SIDE) for rules in sets]
    params = jax.tree.map(
        lambda *leaves: jnp.asarray(np.stack(leaves)), *[encoding.encode(s, "small") for s in specs]
    )
    reset, step = programs()
    keys = jax.random.split(jax.random.key(seed), BATCH)
    _, state = reset(keys, params)
    oracles = [
        begun(rules, spec, jax.device_get(state), i)
        for i, (rules, spec) in enumerate(zip(sets, specs, strict=True))
    ]
    ended, wins = np.zeros(BATCH, bool), collections.Counter()
    for _ in range(steps):
        action = rng.choice(6, BATCH, p=(0.35, 0.13, 0.13, 0.18, 0.18, 0.03))
        out = step(keys, state, jnp.asarray(action, jnp.int32), params)
        state = out.state
        got = jax.device_get(out)
        for i, (oracle, pairs) in enumerate(oracles):
            reward, won = oracle.step(int(action[i]))
            mine = got.state
            cells = {(r, c): pairs[mine.grid[i, r, c]] for r in range(SIDE) for c in range(SIDE)}
            assert cells == oracle.grid
            assert (mine.row[i], mine.column[i], mine.facing[i]) == (*oracle.at, oracle.facing)
            held = np.flatnonzero(mine.inventory[i])
            assert [pairs[k] for k in held] == [oracle.pocket] * (oracle.pocket != (0, 0))
            seen = got.obs[i, : VIEW**2 * CAPS.types].reshape(VIEW, VIEW, -1)
            assert (seen.sum(-1) == 1).all()
            assert [[pairs[k] for k in row] for row in seen.argmax(-1)] == oracle.view(VIEW)
            assert bool(got.terminated[i]) == won
            assert ended[i] or float(got.reward[i]) == pytest.approx(reward, abs=1e-6)
            assert bool(got.truncated[i]) == (oracle.time >= oracle.limit)
            ended[i] |= won
            wins[oracle.goal[0]] += won
    fired = collections.Counter(kind for oracle, _ in oracles for kind in oracle.fired)
    return fired, wins


@pytest.mark.core
def test_translated_rulesets_are_the_oracle_s_step_by_step():
    fired, wins = compare(seed=0, steps=40)
    assert len(fired) >= 8 and sum(n > 0 for n in wins.values()) >= 4
    assert programs()[1]._cache_size() == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 17))
def test_many_translated_rulesets_are_the_oracle_s_step_by_step(seed):
    compare(seed, steps=200)


def test_starts_are_drawn_evenly():
    spec = xland.translate([1, 3, 1, 0, 0], np.zeros((1, 7), int), [[3, 1], [3, 1]], height=SIDE, width=SIDE)
    params = jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf)] * BATCH), encoding.encode(spec))
    ways, places, things = np.zeros(4), np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for seed in range(32):
        _, state = jax.device_get(programs()[0](jax.random.split(jax.random.key(seed), BATCH), params))
        ways += np.bincount(state.facing, minlength=4)
        np.add.at(places, (state.row, state.column), 1)
        ball = state.grid[:, :SIDE, :SIDE] == 2
        assert (ball.sum((1, 2)) == 2).all() and not ball[np.arange(BATCH), state.row, state.column].any()
        things += ball.sum(0)
    count, inside = 32 * BATCH, slice(1, SIDE - 1)
    assert places.sum() == places[inside, inside].sum() == count
    # Three and a half standard deviations.
    for seen, share in (
        (ways, 1 / 4),
        (places[inside, inside], 1 / 16),
        (things[inside, inside] / 2, 1 / 16),
    ):
        assert np.abs(seen / count - share).max() < 3.5 * np.sqrt(share / count)


REFUSED = [
    ((0, 0, 0, 0, 0), None, None, "goal is of kind 0; it asks for nothing, so it is never won"),
    ((15, 3, 1, 0, 0), None, None, "goal is of kind 15; kinds of goals are 0 to 14"),
    ((6, 6, 1, 0, 0), None, None, "goal is of kind 6; cell (6, 1) lies beyond the map of 6 x 6"),
    ((1, 3, 12, 0, 0), None, None, "goal is (3, 12); there is no such colour"),
    (None, (2, 2, 6, 3, 1, 0, 0), None, "rules[1] is of kind 2; it may open the grey walls around the room, behind which the agent would leave the map"),
    (None, (2, 3, 1, 9, 1, 0, 0), None, "rules[1] is of kind 2; it has a door, which the sixth action would open"),
    (None, (3, 3, 1, 1, 2, 3, 1), None, "rules[1] is (1, 2); the only floor of a spec is black"),
    (None, (1, 3, 1, 0, 0, 0, 0), None, "rules[1] is (0, 0); there is no such tile to name"),
    (None, (12, 3, 1, 3, 1, 0, 0), None, "rules[1] is of kind 12; kinds of rules are 0 to 11"),
    (None, None, [[3, 1]] * 16, "init_tiles is a list of 16; a room of 6 x 6 has too few cells for them and the agent"),
    (None, None, [3, 1], "init_tiles is int64 [2]; it must be whole numbers of shape [any, 2]"),
]  # fmt: skip


@pytest.mark.parametrize(("goal", "rule", "things", "sentence"), REFUSED)
def test_what_cannot_be_translated_is_refused_in_a_sentence(goal, rule, things, sentence):
    rules = np.asarray([[0] * 7, rule or [0] * 7])
    with pytest.raises(SpecError) as error:
        xland.translate(goal or (1, 3, 1, 0, 0), rules, things or [[3, 1]], height=SIDE, width=SIDE)
    assert str(error.value) == sentence


def test_the_language_knows_carriers_and_hashes_of_walkers_are_as_they_were():
    assert GRID.identity(tech_tree.original()) == "cecfa48d02df56306b465af8034c4647"
    rng, hashes = np.random.default_rng(2), set()
    for _ in range(10):
        spec = xland.translate(*ruleset(rng), height=SIDE, width=SIDE)
        assert GRID.read(json.dumps(GRID.write(spec))) == spec
        assert decoding.decode(encoding.encode(spec, "large"), spec) == spec
        assert np.isfinite(GRID.features(spec)).all() and "carries one thing" in GRID.describe(spec)
        back = {**GRID.write(spec), "rules": GRID.write(spec)["rules"][::-1]}
        hashes |= {GRID.identity(spec), GRID.identity(GRID.read(back))}
        with contextlib.suppress(SpecError):  # no crash, whatever it was
            repaired, _ = GRID.repair(spec_drawn.spoiled(rng, GRID.write(spec)))
            assert GRID.repair(repaired) == (repaired, [])
            GRID.read(repaired)
    assert len(hashes) == 20  # rules in another order are another environment
    walker = tech_tree.spec_data()
    walker["rules"][0]["after"] = ["put_down"]
    walker["reward"]["fade"] = 0.5
    with pytest.raises(SpecError) as error:
        GRID.read(walker)
    assert [str(fault) for fault in error.value.faults] == [
        "rules[0].after is given; it must be empty unless agent.body is 'carrier'",
        "reward.fade is 0.5; it must be 0 unless agent.body is 'carrier'",
    ]
    carrier = GRID.write(xland.translate([1, 3, 1, 0, 0], [[2, 3, 1, 4, 2, 0, 0]], [[3, 1]]))
    carrier["rules"][0]["chance"] = 0.5
    carrier["types"][0]["opaque"] = True
    with pytest.raises(SpecError) as error:
        GRID.read(carrier)
    assert [str(fault) for fault in error.value.faults] == [
        "types[0].opaque is true; it must be false where agent.body is 'carrier'",
        "rules[0].chance is 0.5; it must be left out where agent.body is 'carrier'",
    ]


def test_feasibility_and_the_ladder_follow_what_is_carried():
    chain = [[2, 3, 1, 4, 2, 0, 0], [1, 4, 2, 12, 11, 0, 0]]  # ball nearby: square; square in hand: star
    spec = xland.translate([1, 12, 11, 0, 0], chain, [[3, 1]], height=SIDE, width=SIDE)
    assert feasibility.infeasible(spec) == [] and feasibility.needed(spec) == {"ball-red"}
    broken = xland.translate([1, 12, 11, 0, 0], chain[1:], [[3, 1]], height=SIDE, width=SIDE)
    config = ladder.LadderConfig(resets=8, episodes=2, steps=30, batch=2, sound=0.75)
    verdicts = ladder.validate([spec, broken], config=config)
    assert [v.rung for v in verdicts] == ["", "feasibility"]
    assert verdicts[1].reasons[0].startswith("success[0] cannot come about: 'goal' needs 1 'star-pink'")


def test_the_contract_is_kept():
    env = from_spec(xland.translate([1, 3, 1, 0, 0], np.zeros((1, 7), int), [[3, 1]]), view=5)
    assert env.action_space.n == 6
    check.check_types(env)


def carrying(**changes):
    """A translated spec as data, with changes."""
    return GRID.write(xland.translate([1, 3, 1, 0, 0], [], [[3, 1], [4, 2]])) | changes


def drawn_state(facing, held):
    """What a picture reads of a state, on an empty map."""
    known = {"grid": np.ones((CAPS.side, CAPS.side), np.int8), "row": 1, "column": 2, "facing": facing}
    return GridState(**{f.name: ({**known, "inventory": held}).get(f.name) for f in fields(GridState)})


def test_a_picture_shows_what_is_carried_on_the_side_that_is_not_faced():
    spec = GRID.read(carrying())
    params = encoding.encode(spec)
    held, state = np.zeros(CAPS.types, np.int32), drawn_state
    ball = 2 + [t.name for t in spec.types].index("ball-red")
    red = lambda frame: np.argwhere((frame == (214, 69, 58)).all(-1))
    assert not len(red(picture.render(state(0, held), params)))
    held[ball] = 1
    for facing, (down, right) in enumerate(((1, 0), (0, -1), (-1, 0), (0, 1))):  # away from where it looks
        seen = red(picture.render(state(facing, held), params))
        assert len(seen) > 30 and seen.min() >= 24 and (seen[:, 0] < 48).all() and (seen[:, 1] < 72).all()
        middle = seen.mean(0) - (24 + 11, 48 + 11)
        assert np.abs(middle - 4.8 * np.asarray((down, right))).max() < 0.6
    walker = tech_tree.original()
    some = held.copy()
    some[:] = 1
    frames = [picture.render(state(0, x), encoding.encode(walker)) for x in (some, 0 * some)]
    assert (frames[0] == frames[1]).all()  # whose inventory is many things


def test_a_legend_counts_what_a_walker_holds():
    spec = tech_tree.original()
    params, frame = encoding.encode(spec), kind_of(spec).frame
    row = [*picture.legend(spec)].index("wood")

    def shown(wood):
        held = np.zeros(CAPS.types, np.int32)
        held[2 + [t.name for t in spec.types].index("wood")] = wood
        return frame(drawn_state(0, held), params, spec)

    none, two, three = map(shown, (0, 2, 3))
    for one, other in ((none, two), (two, three)):  # frames of a film are of one size
        where = np.argwhere((one != other).any(-1))
        assert len(where) and where[:, 1].min() > 9 * 24
        assert 4 + 16 * row <= where[:, 0].min() and where[:, 0].max() < 4 + 16 * (row + 1)


def test_an_empty_hand_is_no_impossible_thing_and_two_things_are():
    holds = lambda name, of, **more: {"name": name, "kind": "holds", "of": of, "number": 1} | more
    freed = carrying(predicates=[holds("goal", "void", after=["put_down"])])
    assert feasibility.infeasible(GRID.read(freed)) == []
    both = carrying(predicates=[holds("a", "ball-red"), holds("b", "square-green")])
    both["success"] = [{"all": ["a", "b"], "none": []}]
    with pytest.raises(
        SpecError, match=r"success\[0\].*one thing at a time, not 'ball-red' and 'square-green'"
    ):
        GRID.read(both)


def test_after_any_deed_is_not_from_the_start():
    data = carrying()
    always, deed = (
        {**p, "after": after} for p, after in zip(data["predicates"] * 2, ([], list(DEEDS)), strict=True)
    )
    hashes = {GRID.identity(GRID.read(data | {"predicates": [p]})) for p in (always, deed)}
    assert len(hashes) == 2


def test_nobody_plays_a_carrier_by_a_script():
    told = kind_of(GRID.read(carrying())).check(GRID.read(carrying()), 0, 2, 2, 2).told
    assert told.endswith("the scripted player plays no carrier, so it made no tries")


def test_what_is_no_ruleset_is_said():
    with pytest.raises(SpecError, match="rules is no table; its rows must be of one length"):
        xland.translate([1, 3, 1, 0, 0], [[1, 2], [3]], [[3, 1]])
    task = [1, 3, 1, 0, 0], [], [[3, 1]]
    for number, said in (("9", "height is '9'"), (9.5, "height is 9.5"), (True, "height is true")):
        with pytest.raises(SpecError, match=f"^{said}; it must be a whole number$"):
            xland.translate(*task, height=number)
    with pytest.raises(SpecError, match="^time_limit is 'x'; it must be a whole number$"):
        xland.translate(*task, time_limit="x")
    sized = xland.translate(*task, height=np.int64(7), width=np.uint8(7), time_limit=np.int32(50))
    assert sized == xland.translate(*task, height=7, width=7, time_limit=50)
    with pytest.raises(
        ValueError, match="spec has a type 'table', which is no tile|spec has a type '[a-z_]+'"
    ):
        xland.tiles_of(tech_tree.original())
