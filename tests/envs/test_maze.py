"""Mazes against a simulator and a search in plain Python, and the published numbers of the layouts."""

import dataclasses
import functools
from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_envs import check_env, make, maze, time_limit

STEPS = [(0, 1), (1, 0), (0, -1), (-1, 0)]


class Simulator:
    """The maze once more, cell by cell."""

    def __init__(self, level, view=5):
        self.walls, self.view, self.time = np.asarray(level.walls), view, 0
        place = lambda cell: tuple(int(x) for x in np.unravel_index(int(cell), self.walls.shape))
        self.at, self.goal = place(level.agent), place(level.goal)
        self.heading, self.limit = int(level.heading), int(level.max_steps)

    def blocked(self, cell):
        inside = all(0 <= x < n for x, n in zip(cell, self.walls.shape, strict=True))
        return not inside or bool(self.walls[cell])

    def look(self):
        """``(walls, goal)`` of the view, and the heading."""
        (fr, fc), (rr, rc) = STEPS[self.heading], STEPS[(self.heading + 1) % 4]
        walls, goal = np.zeros((2, self.view, self.view), np.float32)
        for i in range(self.view):
            for j in range(self.view):
                far, aside = self.view - 1 - i, j - self.view // 2
                cell = (self.at[0] + far * fr + aside * rr, self.at[1] + far * fc + aside * rc)
                walls[i, j], goal[i, j] = self.blocked(cell), cell == self.goal
        return walls, goal, np.eye(4, dtype=np.float32)[self.heading]

    def step(self, action):
        """``(reward, terminated, truncated)``."""
        self.time += 1
        self.heading = (self.heading + {0: -1, 1: 1}.get(action, 0)) % 4
        ahead = tuple(x + d for x, d in zip(self.at, STEPS[self.heading], strict=True))
        solved = action == 2 and ahead == self.goal
        if action == 2 and not solved and not self.blocked(ahead):
            self.at = ahead
        reward = np.float32(1 - 0.9 * self.time / self.limit) if solved else np.float32(0)
        return reward, solved, self.time >= self.limit


def way(level):
    """The fewest actions to the goal, none where there is no way."""
    start = Simulator(level)
    seen = {(start.at, start.heading): ()}
    queue = deque(seen)
    while queue:
        at, heading = queue.popleft()
        before = seen[at, heading]
        ahead = tuple(x + d for x, d in zip(at, STEPS[heading], strict=True))
        if ahead == start.goal:
            return (*before, 2)
        near = [(at, (heading - 1) % 4), (at, (heading + 1) % 4)]
        near += [] if start.blocked(ahead) else [(ahead, heading)]
        for action, place in enumerate(near):
            if place not in seen:
                seen[place] = (*before, action)
                queue.append(place)
    return ()


def search(level):
    """How many these are."""
    return len(way(level))


def drawn(env, count, seed=0):
    return program(lambda key: jax.vmap(env.sample_params)(jax.random.split(key, count)))(
        jax.random.key(seed)
    )


solvable = program(jax.vmap(maze.solvable))


def one(levels, i):
    return jax.tree.map(lambda x: x[i], levels)


@pytest.mark.filterwarnings("ignore:.*two different keys give the same episode")
def test_contract():
    check_env(make("maze/random", size=5, walls=5, max_steps=9), steps=24, eager=False)


def test_every_maze_of_one_look_has_the_same_functions():
    envs = [make(name) for name in ("maze/random", "maze/four-rooms", *maze.NAMED)]
    assert len({(env.reset, env.step, env.observation_space, env.action_space) for env in envs}) == 1
    assert all(env.sample_params is None for env in envs if env.name in maze.NAMED)
    assert make("maze/random", view=7).observation_space.shape == (2 * 49 + 4,)


def test_random_actions_agree_with_the_simulator():
    """In both observations, of views of different sizes: what is seen is a function of where the agent is."""
    env = make("maze/random", size=5, walls=5, actions=7, max_steps=60)
    planes = make("maze/sixteen-rooms", observation="planes", view=3)
    episodes = 24
    levels = drawn(env, episodes)
    actions = np.random.default_rng(0).choice(7, (60, episodes), p=[0.2, 0.2, 0.44, 0.04, 0.04, 0.04, 0.04])

    def play(level, chosen):
        first, state = env.reset(jax.random.key(0), level)

        def step(state, action):
            out = env.step(jax.random.key(0), state, action, level)
            at = dataclasses.replace(level, agent=out.state.agent, heading=out.state.heading)
            shown = planes.reset(jax.random.key(0), at)[0]
            return out.state, (out.obs, shown, out.reward, out.terminated, out.truncated, out.info["success"])

        return first, jax.lax.scan(step, state, chosen)[1]

    first, (vector, seen, *told) = program(jax.vmap(play, (0, 1)))(levels, actions.astype(np.int32))
    solved = 0
    for i in range(episodes):
        simulator, near = Simulator(one(levels, i)), Simulator(one(levels, i), view=3)
        np.testing.assert_array_equal(first[i], np.concatenate([x.ravel() for x in simulator.look()]))
        for t in range(60):
            reward, terminated, truncated = simulator.step(actions[t, i])
            near.step(actions[t, i])
            walls, goal, heading = simulator.look()
            np.testing.assert_array_equal(
                vector[i, t], np.concatenate([walls.ravel(), goal.ravel(), heading])
            )
            walls, goal, heading = near.look()
            both = [walls[..., None], goal[..., None], np.tile(heading, (3, 3, 1))]
            np.testing.assert_array_equal(seen[i, t], np.concatenate(both, -1))
            np.testing.assert_allclose(told[0][i, t], reward, rtol=1e-6)
            assert [bool(x[i, t]) for x in told[1:]] == [terminated, truncated, terminated]
            solved += terminated
            if terminated:
                break
    assert 3 < solved < episodes


@pytest.fixture(scope="module")
def strewn():
    """A thousand mazes, about half of which can be solved."""
    return drawn(make("maze/random", size=9, walls=35), 1000, seed=1)


@pytest.mark.core
def test_shortest_paths_are_those_of_a_search_in_python(strewn):
    found, levels = program(jax.vmap(maze.shortest_path))(strewn), strewn
    np.testing.assert_array_equal(found, [search(one(levels, i)) for i in range(1000)])
    np.testing.assert_array_equal(solvable(levels), found > 0)
    assert 100 < (found == 0).sum() < 900


def test_layouts_have_the_published_walls_and_shortest_paths():
    levels = [make(name).params for name in maze.NAMED]
    stacked = jax.tree.map(lambda *x: np.stack(x), *jax.device_get(levels))
    steps, optimal = (program(jax.vmap(f)) for f in (maze.shortest_path, maze.optimal_return))
    steps = steps(stacked)
    assert dict(zip(maze.LAYOUTS, steps.tolist(), strict=True)) == {
        "sixteen-rooms": 26,
        "sixteen-rooms-2": 28,
        "labyrinth": 113,
        "labyrinth-flipped": 113,
        "labyrinth-2": 113,
        "standard-maze": 54,
        "standard-maze-2": 73,
        "standard-maze-3": 54,
    }
    assert stacked.walls.sum((1, 2)).tolist() == [46, 53, 72, 72, 72, 73, 72, 71]
    for limit, returns in ((250, [0.91, 0.59, 0.81, 0.74]), (450, [0.95, 0.77, 0.89, 0.85])):
        best = optimal(stacked.replace(max_steps=np.full(8, limit, np.int32)))
        np.testing.assert_allclose(best[np.array([0, 2, 5, 6])], returns, atol=0.005)
    short = optimal(stacked.replace(max_steps=np.full(8, 54, np.int32)))
    np.testing.assert_array_equal(short > 0, np.asarray(steps) <= 54)
    assert make("maze/labyrinth", max_steps=450).params.max_steps == 450


def test_whoever_goes_the_shortest_way_gets_the_optimal_return():
    """And nothing a step earlier."""
    env, levels = make("maze/labyrinth"), [make(name).params for name in maze.NAMED]
    ways = [way(level) for level in levels]
    actions = np.zeros((113, len(ways)), np.int32)
    for i, found in enumerate(ways):
        actions[: len(found), i] = found

    def play(level, chosen):
        def step(state, action):
            out = env.step(jax.random.key(0), state, action, level)
            return out.state, (out.reward, out.terminated)

        return jax.lax.scan(step, env.reset(jax.random.key(0), level)[1], chosen)[1]

    stacked = jax.tree.map(lambda *x: np.stack(x), *jax.device_get(levels))
    rewards, ended = program(jax.vmap(play, (0, 1)))(stacked, actions)
    best = program(jax.vmap(maze.optimal_return))(stacked)
    for i, found in enumerate(ways):
        assert not rewards[i, : len(found) - 1].any() and not ended[i, : len(found) - 1].any()
        assert ended[i, len(found) - 1]
        np.testing.assert_allclose(rewards[i, len(found) - 1], best[i], rtol=1e-6)


def test_walls_are_drawn_with_or_without_replacement(strewn):
    expected = 81 * (1 - (1 - 1 / 81) ** 35)
    assert abs(float(strewn.walls.sum((1, 2)).mean()) - expected) < 0.3  # 28.6
    distinct = drawn(make("maze/random", size=9, walls=25, fewest_walls=23, distinct=True), 400)
    number = np.bincount(np.asarray(distinct.walls.sum((1, 2))), minlength=26)
    assert number.sum() == number[23:].sum() and number[23:].min() > 100
    for levels in (strewn, distinct):
        cells = levels.walls.reshape(-1, 81)
        at = lambda which: np.take_along_axis(cells, which[:, None], 1)  # noqa: B023
        assert not at(levels.agent).any() and not at(levels.goal).any()
        assert (levels.agent != levels.goal).all()
        for places in (levels.agent, levels.goal):  # everywhere about as often
            often = np.bincount(np.asarray(places), minlength=81) / (len(cells) / 81)
            assert (often > 0).mean() > 0.9 and often.max() < 3


def test_arms_are_numbers_of_walls():
    arms = make("maze/random", size=9, walls=25, distinct=True).arms
    assert arms.names == ("0 walls", "6 walls", "12 walls", "19 walls", "25 walls")
    draw = lambda key: jax.vmap(arms.sample)(jax.random.split(key, 5), jnp.arange(5, dtype=jnp.int32))
    levels = program(draw)(jax.random.key(0))
    assert levels.walls.sum((1, 2)).tolist() == [0, 6, 12, 19, 25]
    few = lambda walls, fewest: maze._by_walls(9, walls, fewest, True, 1).names
    assert few(60, 58) == ("58 walls", "59 walls", "60 walls") and few(0, 0) == ("0 walls",)


def test_an_edit_changes_one_thing(strewn):
    edit = lambda key, levels: jax.vmap(maze.edited)(jax.random.split(key, 1000), levels)
    after = program(edit)(jax.random.key(4), strewn)
    flipped = np.asarray((after.walls != strewn.walls).sum((1, 2)))
    moved = np.asarray(after.goal != strewn.goal)
    assert set(flipped.tolist()) == {0, 1} and not (moved & (flipped == 1)).any()
    for share in (flipped.mean(), moved.mean()):
        assert abs(share - 1 / 3) < 0.05
    cells = after.walls.reshape(1000, 81)
    for places in (after.agent, after.goal):
        assert not np.take_along_axis(cells, places[:, None], 1).any()
    assert (after.agent == strewn.agent).all() and (after.goal != after.agent).all()


def test_wrappers_hand_on_edits_and_solvability():
    env = time_limit(maze.from_maze(maze.read_maze(">#G ... ..."), actions=7), 30)
    edited = program(env.edit_params)(jax.random.key(1), env.params)
    expected = program(maze.edited)(jax.random.key(1), env.params.env)
    assert all(map(np.array_equal, jax.tree.leaves(edited.env), jax.tree.leaves(expected)))
    assert bool(program(env.solvable)(env.params))


def of_family(name, count, **sizes):
    """Mazes of a family, and no others: making the environment would compile one more program."""
    family = maze.FAMILIES[name]
    sample = functools.partial(family.sample, size=sizes.pop("size", family.size), max_steps=1, **sizes)
    return program(lambda key: jax.vmap(sample)(jax.random.split(key, count)))(jax.random.key(0))


@pytest.mark.parametrize(
    ("name", "free"),
    [
        ("perfect-maze", 2 * 49 - 1),  # a tree of 7 x 7 rooms
        ("small-corridor", 48 + 2 * 5 * 5),
        ("four-rooms", 17 * 17 - 33 + 4),
    ],
)
def test_families_are_solvable_and_of_the_published_form(name, free):
    levels = of_family(name, 100)
    assert solvable(levels).all()
    assert set(np.asarray((~levels.walls).sum((1, 2))).tolist()) == {free}
    if name == "perfect-maze":
        assert len({np.asarray(walls).tobytes() for walls in levels.walls}) == 100


def test_corridors_have_the_goal_at_the_end_of_any_alley():
    goals = of_family("small-corridor", 100).goal
    assert {divmod(int(g), 13) for g in goals} == {(r, c) for r in (5, 7) for c in (2, 4, 6, 8, 10)}
    for name, size, alleys in (("small", 13, 5), ("large", 19, 8)):
        maze_of_it = make(f"maze/{name}-corridor").params
        assert (maze_of_it.max_steps, maze_of_it.agent) == (2 * (size + 2) ** 2, size // 2 * size)
        assert (~maze_of_it.walls).sum() == 4 * (size - 1) + 2 * alleys * (size // 2 - 1)


def test_crossings_open_one_cell_of_each_wall():
    levels = of_family("crossing", 200, crossings=5)
    assert solvable(levels).all()
    for walls in np.asarray(levels.walls):
        rows, columns = (walls.sum(axis) > 4 for axis in (1, 0))
        assert rows.sum() + columns.sum() == 5 and not rows[::2].any() and not columns[::2].any()
        assert (rows[:, None] | columns).sum() - walls.sum() == 5


def test_a_large_maze_is_made():
    env = make("maze/random", size=101, walls=4000, distinct=True)
    assert env.params.walls.shape == (101, 101) and int(env.params.walls.sum()) == 4000


def test_a_frame_shows_walls_goal_agent_and_where_it_looks():
    env = make("maze/labyrinth")
    _, state = jax.jit(env.reset)(jax.random.key(0), env.params)
    frame = env.render(state, env.params)
    assert frame.shape == (208, 208, 3) and frame.dtype == np.uint8
    turned = env.render(dataclasses.replace(state, heading=jnp.int32(3)), env.params)
    changed = np.argwhere((frame != turned).any(-1)) // 16
    assert set(map(tuple, changed.tolist())) == {(12, 0)}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("maze/random", {"size": 3}, r"size of maze/random is 3; it must be a whole number from 5 to 101"),
        ("maze/random", {"walls": 168}, r"walls of maze/random is 168; .* from 0 to 167"),
        ("maze/random", {"fewest_walls": 61}, r"fewest_walls of maze/random is 61; .* from 0 to 60"),
        ("maze/random", {"distinct": 1}, r"distinct of maze/random is 1; it must be True or False"),
        ("maze/random", {"view": 4}, r"view of maze/random is 4; it must be odd"),
        ("maze/random", {"actions": 5}, r"actions of maze/random is 5; it must be 3 or 7"),
        ("maze/random", {"max_steps": 0}, r"max_steps of maze/random is 0; .* from 1"),
        ("maze/random", {"wals": 3}, r"no option 'wals'; did you mean 'walls'"),
        ("maze/perfect-maze", {"size": 12}, r"size of maze/perfect-maze is 12; it must be odd"),
        ("maze/labyrinth", {"size": 13}, r"maze/labyrinth has no option 'size'"),
        ("maze/labirinth", {}, r"did you mean 'maze/labyrinth'"),
    ],
)
def test_options_that_do_not_fit_are_named(name, options, message):
    with pytest.raises(ValueError, match=message):
        make(name, **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#.G", r"0 agents and 1 goals"),
        (">.G ..", r"lengths \[3, 2\]"),
        (">xG", r"letter 'x'"),
    ],
)
def test_drawn_mazes_that_do_not_fit_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        maze.read_maze(text)


def test_own_mazes_are_checked():
    env = maze.from_maze(maze.read_maze(">.G", max_steps=10))
    assert float(program(env.optimal_return)(env.params)) == pytest.approx(1 - 0.9 * 2 / 10)
    walls = np.array([[False, True], [False, False]])
    for cells, message in (
        (((0, 1), (1, 1)), r"agent is \(0, 1\), which is a wall"),
        (((0, 0), (2, 0)), r"goal is \(2, 0\), outside"),
        (((0, 0), (0, 0)), r"goal is \(0, 0\), where the agent starts"),
    ):
        with pytest.raises(ValueError, match=message):
            maze.make_maze(walls, cells[0], 0, cells[1])


def test_a_maze_is_built_cell_by_cell():
    """Goal, agent, walls: against a loop over cells, and with every maze one that `make_maze` takes."""
    env = make("maze/random", size=5, walls=8, max_steps=9)
    builder = env.builder
    assert (builder.steps, builder.editor.action_space.n) == (10, 25)
    rng = np.random.default_rng(0)
    actions = rng.integers(0, 25, (40, builder.steps))
    actions[:8, 1] = actions[:8, 0]  # the agent where the goal is
    actions[8:16, 5] = actions[8:16, 0]  # a wall there
    actions[16:24, 6] = actions[16:24, 5]  # and one twice

    def episode(key, chosen):
        def step(state, given):
            out = builder.editor.step(given[0], state, given[1], ())
            return out.state, out

        first, state = builder.editor.reset(key, ())
        state, seen = jax.lax.scan(step, state, (jax.random.split(key, builder.steps), chosen))
        return first, builder.level(state), seen

    keys = jax.random.split(jax.random.key(0), 40)
    first, mazes, seen = jax.jit(jax.vmap(episode))(keys, jnp.asarray(actions, jnp.int32))
    for i, (goal, agent, *cells) in enumerate(actions):
        built = one(mazes, i)
        assert int(built.goal) == goal
        assert int(built.agent) == agent if agent != goal else int(built.agent) != goal
        walls = np.isin(np.arange(25), cells) & ~np.isin(np.arange(25), [goal, int(built.agent)])
        np.testing.assert_array_equal(np.asarray(built.walls).reshape(-1), walls)
        place = lambda cell: divmod(int(cell), 5)
        maze.make_maze(np.asarray(built.walls), place(built.agent), int(built.heading), place(built.goal))
        last = np.asarray(seen.obs[i, -1])
        assert last[:25].tolist() == walls.tolist() and last[25:50].argmax() == goal
        assert last[50:75].argmax() == built.agent and last[75:79].argmax() == built.heading
        np.testing.assert_allclose(np.asarray(seen.obs)[i, :, 79], np.arange(1, 11) / 10, rtol=1e-6)
    assert not first[:, :75].any() and len({float(x) for x in first[:, -1]}) == 40
    assert np.asarray(seen.terminated)[:, -1].all() and not np.asarray(seen.terminated)[:, :-1].any()
    assert {int(m) for m in mazes.max_steps} == {9} and len({int(h) for h in mazes.heading}) == 4
    assert (seen.reward == 0).all()
    limited = time_limit(env, 30).builder
    state = limited.editor.reset(keys[0], ())[1]
    assert int(limited.level(state).max_steps_in_episode) == 30
