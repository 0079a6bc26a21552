"""Levels: the published numbers, the distributions, the mazes, and what is refused."""

import functools

import jax
import numpy as np
import pytest
from compiled import program

from jaxrl_envs import available, make
from jaxrl_envs.gridworlds import (
    FAMILIES,
    LEVELS,
    Object,
    family_of,
    hand_made_level,
    make_level,
    sample_level,
    sample_lifetime,
)
from jaxrl_envs.gridworlds.layouts import LAYOUTS

# (height, width, {(reward, p_terminate, p_respawn): how many}, step limit, lifetime in updates)
PUBLISHED = {
    "dense": (11, 11, {(1, 0, 0.05): 2, (-1, 0.5, 0.1): 1, (-1, 0, 0.5): 1}, 500, 2500),
    "sparse": (13, 13, {(1, 1, 0): 1, (-1, 1, 0): 1}, 50, 2500),
    "long": (11, 11, {(1, 0, 0.01): 2, (-1, 0.5, 1): 2}, 1000, 2500),
    "longer": (9, 9, {(1, 0.1, 0.01): 2, (-1, 0.8, 1): 3}, 2000, 2500),
    "long-dense": (11, 11, {(1, 0, 0.005): 4}, 2000, 2500),
    "rand-dense": (11, 11, {(1, 0, 0.05): 2, (-1, 0.5, 0.1): 1, (-1, 0, 0.5): 1}, 500, 25000),
    "rand-long": (11, 11, {(1, 0, 0.01): 2, (-1, 0.5, 1): 2}, 1000, 25000),
    "rand-small": (7, 7, {(1, 0, 0.05): 2, (-1, 0.5, 0.1): 2}, 500, 25000),
    "rand-sparse": (7, 7, {(1, 1, 1): 1, (-1, 1, 1): 2}, 50, 25000),
    "rand-very-dense": (11, 11, {(1, 0, 1): 1}, 2000, 25000),
}
WALLS = {
    "longer": {(r, 4) for r in range(9)} - {(1, 4), (7, 4)},
    "long-dense": ({(r, 5) for r in range(11)} - {(0, 5), (7, 5)})
    | ({(4, c) for c in range(11)} - {(4, 2), (4, 8)}),
    "rand-small": {(1, 2), (3, 4)},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_hand_made_levels_have_the_published_numbers(name):
    height, width, objects, steps, lifetime = PUBLISHED[name]
    level = jax.device_get(make(f"grid/{name}").params)
    assert (level.height, level.width, level.max_steps) == (height, width, steps)
    assert LEVELS[name].lifetime == lifetime
    counts = {}
    for values in zip(level.reward, level.p_terminate, level.p_respawn, strict=True):
        triple = tuple(round(float(x), 6) for x in values)
        counts[triple] = counts.get(triple, 0) + 1
    assert counts == objects
    assert level.present.all()
    walls = {tuple(int(x) for x in cell) for cell in np.argwhere(level.walls)}
    assert walls == WALLS.get(name, set())
    placed = [LEVELS[name].start] + [thing.cell for thing in LEVELS[name].objects if thing.cell]
    assert len(placed) == len(set(placed))
    assert len(placed) == (1 if name.startswith("rand") else 1 + sum(objects.values()))


def test_all_hand_made_levels_are_there():
    assert set(LEVELS) == set(PUBLISHED)
    names = [name.removeprefix("grid/") for name in available("grid")]
    assert set(names) - set(PUBLISHED) == {n for n in names if family_of(n)}
    assert len(names) == 10 + 4 + 9


# sizes, objects, drawn walls and the cells they are drawn from, step limits, lifetimes
RANGES = {
    "small": ((4, 6), (1, 3), (7, 36), (20, 100), (250, 250)),
    "medium": ((6, 8), (2, 4), (10, 64), (100, 250), (1000, 1000)),
    "large": ((8, 10), (2, 5), (15, 100), (250, 750), (2500, 2500)),
    "all": ((4, 10), (1, 5), (15, 100), (20, 750), (1000, 1000)),
    "all-shortlife": ((4, 10), (1, 5), (15, 100), (20, 750), (250, 250)),
    "randlife": ((4, 10), (1, 5), (15, 100), (20, 750), (50, 250)),
    "vrandlife": ((4, 10), (1, 5), (15, 100), (20, 750), (10, 250)),
    "mazes": ((13, 13), (3, 3), None, (25, 50), (2500, 2500)),
}
COUNT = 2000


@functools.cache
def sampled(family, count=COUNT):
    many = jax.vmap(functools.partial(sample_level, family=family))
    return program(lambda key: many(jax.random.split(key, count)))(jax.random.key(5))


def uniform(x, low, high):
    """Mean and ends of a continuous uniform sample."""
    x = np.asarray(x, np.float64).ravel()
    assert low <= x.min() < low + 0.02 * (high - low)
    assert high >= x.max() > high - 0.02 * (high - low)
    assert abs(x.mean() - (low + high) / 2) < 4 * (high - low) / np.sqrt(12 * x.size)


@pytest.mark.parametrize("family", ["small", "medium", "large", "all", "mazes"])
def test_drawn_levels_have_the_published_distribution(family):
    sizes, objects, walls, steps, _ = RANGES[family]
    levels = sampled(family)
    shape = levels.walls.shape[1:]
    assert shape == ((13, 13) if family == "mazes" else (sizes[1], sizes[1]))
    for size in (levels.height, levels.width):
        counts = np.bincount(size, minlength=sizes[1] + 1)[sizes[0] :]
        share = 1 / len(counts)
        assert (abs(counts - COUNT * share) <= 4 * np.sqrt(COUNT * share * (1 - share))).all()
    number = levels.present.sum(1)
    assert set(np.unique(number)) == set(range(objects[0], objects[1] + 1))
    there = np.asarray(levels.present)
    assert (there == (np.arange(objects[1]) < np.asarray(number)[:, None])).all()  # the first slots
    uniform(levels.reward[:, 0], 0, 1)
    if objects[1] > 1:
        uniform(levels.reward[:, 1:][there[:, 1:]], 0 if family == "mazes" else -1, 1)
    uniform(np.log(levels.p_terminate[there]), np.log(0.01), np.log(1))
    uniform(np.log(levels.p_respawn[there]), np.log(0.001), np.log(0.1))
    for values in (levels.reward, levels.p_terminate, levels.p_respawn):
        assert not values[~there].any()
    assert (levels.max_steps >= steps[0]).all() and (levels.max_steps <= steps[1]).all()
    assert abs(np.mean(np.log(levels.max_steps)) - np.mean(np.log(steps))) < 0.05 * np.log(
        steps[1] / steps[0]
    )

    rows, columns = np.indices(shape)
    inside = (rows < levels.height[:, None, None]) & (columns < levels.width[:, None, None])
    assert np.asarray(levels.walls)[~inside].all()
    if walls:
        drawn = (np.asarray(levels.walls) & inside).sum((1, 2))
        number, cells = walls
        assert drawn.max() <= number
        expected = number * inside.sum((1, 2)) / cells  # those that fall inside
        spread = np.sqrt(expected * (1 - number / cells) / COUNT).mean() + 0.02
        assert abs(drawn.mean() - expected.mean()) < 4 * spread


@pytest.mark.parametrize("family", ["small", "all", "mazes"])
def test_starts_and_objects_of_drawn_levels_are_free_and_apart(family):
    levels = sampled(family)
    cells = np.concatenate([levels.start[:, None], levels.object_cells], axis=1)
    flat = np.asarray(levels.walls).reshape(COUNT, -1)
    assert not np.take_along_axis(flat, cells, axis=1).any()
    assert all(len(set(row)) == cells.shape[1] for row in cells)
    free = flat.shape[1] - flat.sum(1)
    np.testing.assert_array_equal(levels.num_free, free)
    for i in range(0, COUNT, 97):
        np.testing.assert_array_equal(levels.free_cells[i, : free[i]], np.flatnonzero(~flat[i]))


def test_walls_give_way_where_there_is_no_free_cell(monkeypatch):
    monkeypatch.setitem(FAMILIES, "full", FAMILIES["small"]._replace(shape=(4, 4), size=(2, 2), walls=16))
    levels = sampled("full", 50)
    assert (levels.num_free == 4).all()  # the start and three objects


@pytest.mark.parametrize("family", RANGES)
def test_lifetimes(family):
    low, high = RANGES[family][4]
    many = jax.vmap(lambda key: sample_lifetime(key, family))
    lives = program(lambda key: many(jax.random.split(key, COUNT)))(jax.random.key(0))
    assert lives.dtype == np.int32
    assert lives.min() >= low and lives.max() <= high
    if high > low:  # log-uniform: the mean of 10 to 250 is 74.7, the median 50
        assert abs(np.median(lives) - np.sqrt(low * high)) < 0.06 * np.sqrt(low * high)
        mean = (high - low) / np.log(high / low)
        assert abs(lives.mean() - mean) < 4 * np.std(lives) / np.sqrt(COUNT) + 0.3


@pytest.mark.parametrize("name", LAYOUTS)
def test_mazes_are_connected(name):
    rows = LAYOUTS[name]
    assert len(rows) == 13 and all(len(row) == 13 and set(row) <= set("#.") for row in rows)
    free = {(r, c) for r in range(13) for c in range(13) if rows[r][c] == "."}
    reached, edge = set(), [min(free)]
    while edge:
        r, c = edge.pop()
        if (r, c) not in reached:
            reached.add((r, c))
            edge += [n for n in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)) if n in free]
    assert reached == free
    assert len(free) >= 20
    np.testing.assert_array_equal(
        make(f"grid/maze-{name}").params.walls, [[x == "#" for x in r] for r in rows]
    )


def test_nine_different_mazes_all_drawn():
    assert len(set(LAYOUTS.values())) == len(LAYOUTS) == 9
    levels = sampled("mazes", 300)
    assert len({walls.tobytes() for walls in np.asarray(levels.walls)}) == 9


def test_another_seed_is_another_level():
    first, again, other = (make("grid/random-all", level_seed=seed).params for seed in (1, 1, 2))
    same = lambda a, b: all(np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))
    assert same(first, again)
    assert not same(first, other)


def test_padding_brings_levels_to_one_shape():
    levels = [hand_made_level(name, shape=(13, 13), slots=5) for name in LEVELS]
    stacked = jax.tree.map(lambda *xs: np.stack(xs), *levels)
    assert stacked.walls.shape == (10, 13, 13)
    assert stacked.reward.shape == (10, 5)
    sizes = np.asarray([(made.height, made.width) for made in LEVELS.values()])
    walls = [len(made.walls) for made in LEVELS.values()]
    np.testing.assert_array_equal(stacked.num_free, sizes.prod(1) - walls)


ONE = [Object(1.0, 0.0, 0.0, (1, 1))]
BAD = {
    "height": ({"height": 14, "shape": (13, 13)}, "height is 14; it must be a whole number from 1 to 13"),
    "width": ({"width": 0}, "width is 0; it must be a whole number from 1 to"),
    "slots": ({"slots": 0}, "there are 1 objects for 0 slots"),
    "objects": ({"objects": []}, "there are 0 objects"),
    "many": ({"objects": ONE * 17}, "1 to 16 slots"),
    "steps": ({"max_steps": 0}, "max_steps is 0; it must be a whole number of at least 1"),
    "chance": (
        {"objects": [Object(1.0, 1.5, 0.0, (1, 1))]},
        r"p_terminate of object 0 is 1\.5; it must be between",
    ),
    "nan": (
        {"objects": [Object(1.0, 0.0, float("nan"), (1, 1))]},
        "p_respawn of object 0 is nan; it must be",
    ),
    "negative": ({"objects": [Object(1.0, 0.0, -0.1, (1, 1))]}, r"p_respawn of object 0 is -0\.1"),
    "reward": (
        {"objects": [Object(float("inf"), 0.0, 0.0, (1, 1))]},
        "reward of object 0 is inf; it must be fin",
    ),
    "half": ({"objects": [*ONE, Object(1.0, 0.0, 0.0)]}, "object 1 and object 0 differ in having a cell"),
    "start": ({"walls": [(0, 0)]}, r"start is \(0, 0\), which is a wall; it must be a free cell"),
    "out": ({"start": (3, 0)}, r"start is \(3, 0\), outside the level of 3 by 3 cells"),
    "object": ({"walls": [(1, 1)]}, r"the cell of object 0 is \(1, 1\), which is a wall"),
    "wall": ({"walls": [(0, 3)]}, r"the wall \(0, 3\) is outside the level of 3 by 3 cells"),
    "map": (
        {"walls": np.zeros((3, 4), bool)},
        r"walls is bool of shape \(3, 4\); it must be bool of shape \(3, 3\)",
    ),
    "kind": ({"walls": np.zeros((3, 3))}, r"walls is float64 of shape \(3, 3\); it must be bool"),
}


@pytest.mark.parametrize("fault", BAD)
def test_what_a_level_refuses(fault):
    changes, message = BAD[fault]
    given = {"height": 3, "width": 3, "start": (0, 0), "objects": ONE, "max_steps": 9} | changes
    with pytest.raises(ValueError, match=message):
        make_level(**given)


def test_unknown_names_name_near_matches():
    with pytest.raises(ValueError, match="no hand-made level 'longdense'; did you mean 'long-dense'"):
        hand_made_level("longdense")
    with pytest.raises(ValueError, match="no family of levels 'vrand'; did you mean .*'vrandlife'"):
        sample_level(jax.random.key(0), "vrand")
    with pytest.raises(ValueError, match="no family of levels 'huge'. Known: small, medium"):
        sample_lifetime(jax.random.key(0), "huge")
