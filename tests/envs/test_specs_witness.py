"""The scripted player: it opens what rules let it open, its win is a witness, and what has none is told field by field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs.specs import feasibility, ladder, language, tech_tree
from jaxrl_envs.specs.encoding import params_of
from jaxrl_envs.specs.kinds import kind_of
from jaxrl_envs.specs.scripted import _FAR, _allowed, _distance

CONFIG = ladder.LadderConfig(tries=8, batch=4)
GRID = language("grid")


def door(key_column):
    """A wall with a door across the middle; the agent begins in its left half."""
    cell = lambda row, column: {"row": row, "column": column, "height": 1, "width": 1}
    return {
        "name": "door", "size": "small", "height": 5, "width": 7, "time_limit": 60,
        "types": [{"name": "wall"}, {"name": "key", "pickable": True}, {"name": "door"}, {"name": "goal", "walkable": True}],
        "terrain": [
            {"op": "line", "type": "wall", "row": 0, "column": 3, "to_row": 4, "to_column": 3},
            {"op": "rectangle", "type": "door", **cell(2, 3)},
            {"op": "rectangle", "type": "key", **cell(0, key_column)},
            {"op": "rectangle", "type": "goal", **cell(4, 6)},
        ],
        "agent": {"region": {"row": 0, "column": 0, "height": 5, "width": 2}},
        "rules": [{"when": "interact", "of": "door", "needs": [{"item": "key", "count": 1}], "becomes": "floor"}],
        "predicates": [{"name": "has_key", "kind": "holds", "of": "key"}, {"name": "at_goal", "kind": "near", "of": "goal", "number": 0}],
        "success": [{"all": ["at_goal", "has_key"]}],
    }  # fmt: skip


def test_a_win_is_a_witness_and_what_has_none_is_told_field_by_field():
    # The rung before it lets the key behind its own door pass, since a rule opens that door.
    lost = GRID.read(door(key_column=5))
    assert not ladder.infeasible(lost) and "door" in feasibility.passable(lost)
    tree, opened = tech_tree.original(), GRID.read(door(key_column=1))
    verdicts = ladder.witnessed([tree, opened, lost], 0, CONFIG)
    assert [v.rung for v in verdicts] == ["", "", "witness"]
    assert verdicts[0].tries["won"] >= 0.25 and verdicts[1].tries["won"] >= 0.75
    skills = [verdicts[0].tries["held"][name] for name in tech_tree.SKILLS]
    assert skills == sorted(skills, reverse=True)  # each needs the one before
    tail = "has never held in 8 tries of 60 steps by the scripted player"
    assert verdicts[2].reasons == (
        f"success[0].all[0]: 'at_goal' {tail}",
        f"success[0].all[1]: 'has_key' {tail}",
    )
    assert ladder.counted(verdicts) == dict.fromkeys(ladder.RUNGS, 0) | {"witness": 1, "accepted": 2}
    assert ladder.witnessed([tree, opened, lost], 0, CONFIG) == verdicts
    with pytest.raises(ValueError, match="tries is -1; it must be at least 0"):
        ladder.LadderConfig(tries=-1)


def test_a_check_tells_what_the_player_won(monkeypatch):
    asked = []

    def validate(specs, seed, config):
        asked.append(config.tries)
        tries = {"won": 0.25, "held": {}} if config.tries else {}
        return [ladder.Verdict(specs[0], "", (), {"sound": 1.0}, {"idle": 0.0, "random": 0.0}, tries)]

    monkeypatch.setattr(ladder, "validate", validate)
    spec = tech_tree.original()
    told = [kind_of(spec).check(spec, 0, 4, 2, tries).told for tries in (0, 8)]
    assert asked == [0, 8] and told[1] == f"{told[0]}; of 8 tries a scripted player wins 25 %"


def test_what_is_allowed_is_what_rules_and_the_inventory_allow():
    spec = GRID.read(door(key_column=1))
    params, names = params_of(spec), ["void", "floor", *(t.name for t in spec.types)]

    def allowed(keys):
        inventory = jnp.zeros(16, jnp.int32).at[names.index("key")].set(keys)
        flags = np.asarray(_allowed(inventory, params))
        deeds = np.flatnonzero(flags[:48])
        return {
            (("interact", "pick up", "walk")[i // 16], names[i % 16]) for i in deeds if i % 16 < len(names)
        }

    always = {("walk", "goal")}
    assert allowed(0) == always | {("pick up", "key")}
    assert allowed(1) == always | {("pick up", "key"), ("interact", "door")}
    assert allowed(9) == always | {("interact", "door")}


def test_ways_are_counted_around_what_is_closed():
    rows = ["S.#.", ".##.", "...#"]
    cells = np.asarray([[c != "#" for c in row] for row in rows])
    cells = jnp.asarray(np.pad(cells, ((0, 1), (0, 0))))
    goals = jnp.zeros((4, 4), bool).at[0, 0].set(True)
    far = np.asarray(jax.jit(_distance)(goals, cells))
    expected = [[0, 1, _FAR, _FAR], [1, _FAR, _FAR, _FAR], [2, 3, 4, _FAR], [_FAR] * 4]
    np.testing.assert_array_equal(far, expected)
