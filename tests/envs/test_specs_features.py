"""Distances between grid specs: goals at other places are other goals, and all else is as far apart as it was."""

import zlib

import numpy as np

from jaxrl_envs.specs import language, tech_tree

GRID = language("grid")


def features(row, column, **wide):
    region = {"row": row, "column": column, **wide}
    goal = {"name": "there", "kind": "at", "region": region}
    data = {"predicates": [goal], "success": [{"all": ["there"]}], "targets": [], "reward": {"weights": []}}
    return GRID.features(GRID.read({**tech_tree.spec_data(), **data}))


def test_goals_at_other_places_are_apart():
    near, far, wide = features(0, 0), features(4, 4), features(0, 0, width=3)
    for one, other in ((near, far), (near, wide), (far, wide)):
        assert np.linalg.norm(one - other) > 0.5
    np.testing.assert_array_equal(near, features(0, 0))


def test_features_without_places_are_those_of_stored_runs():
    rows = [GRID.features(GRID.read(tech_tree.spec_data(goal))) for goal in ("open_chest", "make_key")]
    assert [zlib.crc32(row.tobytes()) for row in rows] == STORED


STORED = [2967322242, 43711587]
