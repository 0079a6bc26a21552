"""How near the agent must come to what success needs, and for how long who does nothing has to wait: by hand, and by brute force."""

import jax.numpy as jnp
import numpy as np
import pytest
from test_specs_engine import played

from jaxrl_envs.specs import feasibility, ladder, language
from jaxrl_envs.specs.trials import at_hand
from jaxrl_envs.specs.waiting import chained

GRID = language("grid")
CONFIG = ladder.LadderConfig(resets=8, episodes=2, steps=30, batch=8, sound=0.75)
"""As in the other tests of the ladder, so that all share programs."""
WALLS = ["...#...", "...###.", "...#.#.", "...###.", "...#..."]
DOWN, RIGHT = 3, 2


def walled(*predicates, rules=(), **more):
    """A goal walled in at row 2, column 4; the agent may come to the column before the wall."""
    return {
        "height": 5, "width": 7, "types": [{"name": "wall"}, {"name": "goal", "walkable": True}, {"name": "gem"}],
        "terrain": [
            {"op": "cells", "type": "wall", "map": WALLS},
            {"op": "cells", "type": "goal", "map": ["", "", "....#"]},
        ],
        "agent": {"region": {"row": 0, "column": 0}}, "rules": list(rules), "time_limit": 60,
        "predicates": [{"name": f"p{i}", **p} for i, p in enumerate(predicates)],
        "success": [{"all": [f"p{i}" for i in range(len(predicates))]}], **more,
    }  # fmt: skip


NEAR = lambda number: {"kind": "near", "of": "goal", "number": number}
GEM = {"kind": "holds", "of": "gem"}
GIVES = {"changes": [{"item": "gem", "count": 1}]}
REACHES = (
    (walled(NEAR(0)), 1),
    (walled(NEAR(2)), 2),
    (walled(NEAR(3), NEAR(2)), 2),
    (walled(NEAR({"low": 1, "high": 4})), 4),
    (walled(NEAR(4), GEM, rules=[{"when": "interact", "of": "goal", **GIVES}]), 1),
    (walled(NEAR(4), GEM, rules=[{"when": "timer", "every": 3, "of": "goal", **GIVES}]), 4),
    (walled(GEM, rules=[{"when": "timer", "every": 3, "of": "goal", **GIVES}]), feasibility.ANYWHERE),
    (walled(GEM, rules=[{"when": "timer", "every": 3, "near": "goal", **GIVES}]), 2),  # over a corner
    (walled(GEM, rules=[{"when": "adjacent", "of": "goal", "by": "wall", **GIVES}]), feasibility.ANYWHERE),
    (walled(GEM, rules=[{"when": "adjacent", "of": "goal", **GIVES}]), 1),
    (walled({"kind": "count", "of": "goal"}, GEM, rules=[{"when": "step", "of": "floor", **GIVES}]), feasibility.ANYWHERE),
    (walled({"kind": "with", "of": "goal"}), 1),
)  # fmt: skip


@pytest.mark.parametrize(("data", "steps"), REACHES)
def test_how_near_the_agent_must_come(data, steps):
    spec = GRID.read(data)
    assert "goal" in feasibility.needed(spec) and feasibility.reach(spec, "goal") == steps


def test_what_must_only_be_near_may_be_walled_in():
    """Who stands before the wall is two steps from the goal, and no nearer."""
    _, states = played(walled(NEAR(2)), [RIGHT, RIGHT, DOWN, DOWN])
    assert [bool(state.succeeded) for state in states] == [False] * 3 + [True]
    counted = walled(
        {"kind": "count", "of": "goal"}, {"kind": "at", "region": {"row": 4, "column": 2}}
    )  # it is there, and lies as it lies
    verdicts = ladder.validate([walled(NEAR(2)), walled(NEAR(1)), counted], config=CONFIG)
    assert [v.starts["sound"] for v in verdicts] == [1.0, 0.0, 1.0]
    assert verdicts[1].reasons[0].startswith("'goal', without which there is no success, is missing or out")


def test_cells_at_hand_are_those_of_a_count_of_steps():
    rng, side = np.random.default_rng(0), 7
    grid, ground = rng.integers(0, 4, (2, side, side)).astype(np.int8)
    steps = np.asarray([0, 1, 3, feasibility.ANYWHERE, 2], np.int32)
    grid[grid == 2], ground[ground == 2], grid[6, 6] = 1, 1, 2
    found = np.asarray(at_hand(*map(jnp.asarray, (grid, ground, steps))))
    for kind, most in enumerate(steps):
        for cell in np.ndindex(side, side):
            away = [abs(cell - other).sum() for other in np.argwhere((grid == kind) | (ground == kind))]
            assert found[kind][cell] == (min(away, default=99) <= most), (kind, cell)


def waiting(periods, **more):
    """A seed that a timer makes a sprout, and so on; success is the last of them."""
    names = [f"t{i}" for i in range(len(periods) + 1)]
    return {
        "height": 4, "width": 4, "types": [{"name": name} for name in [*names, "gem"]],
        "terrain": [{"op": "scatter", "type": "t0", "count": 1}],
        "rules": [
            {"when": "timer", "every": n, "of": a, "becomes": b}
            for n, a, b in zip(periods, names[:-1], names[1:], strict=True)
        ],
        "predicates": [{"name": "p", "kind": "count", "of": names[-1]}],
        "success": [{"all": ["p"]}], "time_limit": 1_000, **more,
    }  # fmt: skip


def test_chains_of_timers_are_waited_for():
    """Regression: two rounds of the slowest were waited for, so that three timers of one period won unseen."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        periods, time = rng.integers(1, 50, rng.integers(1, 6)).tolist(), 0
        for period in periods:
            time = (time // period + 1) * period
        spec = GRID.read(waiting(periods))
        assert ladder.waits(spec, CONFIG) >= time and chained(spec) == sum(periods)
    assert chained(GRID.read(waiting([40] * 3))) == 120
    verdicts = ladder.validate([waiting([40] * 3), waiting([40] * 3, time_limit=119)], config=CONFIG)
    assert [v.rung for v in verdicts] == ["policies", ""] and verdicts[0].plays["idle"] == 1
    assert verdicts[0].reasons == ("doing nothing wins 100 % of 2 episodes; it may win 0 %",)


def test_only_what_may_win_by_itself_is_waited_for():
    data = waiting([40] * 3)
    asked = lambda kind, **more: {**data, "predicates": [{"name": "p", "kind": kind, **more}]}
    assert chained(GRID.read(asked("count", of="t3", number=4))) == 480  # of what may come one by one
    touched = {"when": "interact", "of": "t3", "changes": [{"item": "gem", "count": 1}]}
    mine = {**asked("holds", of="gem"), "rules": [*data["rules"], touched]}
    assert chained(GRID.read(mine)) == 0
    # A timer that gives one in five rounds, of which two are wanted, from three others each.
    rare = {"when": "timer", "every": 10, "chance": 0.2, "needs": [{"item": "t0", "count": 3}], **GIVES}
    gives = {"when": "timer", "every": 7, "changes": [{"item": "t0", "count": 1}]}
    stocked = {**asked("holds", of="gem", number=2), "rules": [rare, gives]}
    assert chained(GRID.read(stocked)) == 2 * 3 * (50 + 7)
    assert chained(GRID.read({**stocked, "rules": [rare]})) == 0  # which lacks what it needs
