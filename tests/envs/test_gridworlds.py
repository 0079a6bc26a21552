"""The grid-world engine against a NumPy one, and its chances against their frequencies."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_envs import available, check_env, make
from jaxrl_envs.gridworlds import Object, from_level, make_level, sample_level
from jaxrl_envs.gridworlds.engine import GridState, GridWorld
from jaxrl_envs.vector import vectorize

MOVES = {
    5: [(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)],
    9: [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1), (0, 0)],
}


MAZES = [name for name in available("grid") if name.startswith("grid/maze-")]


@pytest.mark.filterwarnings("ignore:.*two different keys give the same episode")
@pytest.mark.parametrize("name", [name for name in available("grid") if name not in MAZES[1:]])
def test_contract(name):
    check_env(make(name), steps=6, eager=name in ("grid/dense", "grid/rand-small"))


def test_the_other_mazes_are_the_first_one_with_other_walls():
    """One program, so that the contract of one is that of all."""
    first, *others = (make(name) for name in MAZES)
    types = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    for env in others:
        assert types(env.params) == types(first.params)
        assert env.observation_space == first.observation_space
        assert (env.params.walls != first.params.walls).any()
        assert described(env) == described(first)


def described(env):
    """What reset and step compute, as text."""
    key = jax.random.key(0)
    state = jax.eval_shape(env.reset, key, env.params)[1]
    action = jnp.zeros((), jnp.int32)
    return str(jax.make_jaxpr(env.reset)(key, env.params)) + str(
        jax.make_jaxpr(env.step)(key, state, action, env.params)
    )


@pytest.mark.filterwarnings("ignore:.*two different keys give the same episode")
def test_contract_of_the_other_kinds():
    check_env(make("grid/random-small", placement="random", moves=9), steps=30)
    check_env(make("grid/longer", observation="planes", max_steps=7), steps=30)


# A level where nothing is left to chance; objects 0 and 1 share a cell.
CERTAIN = [
    Object(1.0, 0.0, 1.0, (0, 0)),
    Object(-0.25, 0.0, 0.0, (0, 0)),
    Object(0.5, 0.0, 0.0, (2, 1)),
    Object(-2.0, 1.0, 1.0, (3, 3)),
]
WALLS = [(1, 1), (0, 2), (2, 3)]


def numpy_episode(actions, moves, limit):
    """(cell, exists, reward, terminated, truncated) after each action, in the order that the paper gives."""
    height, width, cell = 4, 5, (1, 0)
    exists = [True] * len(CERTAIN)
    for t, action in enumerate(actions):
        row, column = (x + d for x, d in zip(cell, MOVES[moves][action], strict=True))
        if 0 <= row < height and 0 <= column < width and (row, column) not in WALLS:
            cell = (row, column)
        taken = [there and thing.cell == cell for there, thing in zip(exists, CERTAIN, strict=True)]
        absent = [not there for there in exists]
        for k, thing in enumerate(CERTAIN):
            if absent[k] and thing.p_respawn == 1:
                exists[k] = True
            if taken[k]:
                exists[k] = False
        reward = sum(thing.reward for k, thing in enumerate(CERTAIN) if taken[k])
        over = any(thing.p_terminate == 1 for k, thing in enumerate(CERTAIN) if taken[k])
        yield cell, tuple(exists), reward, over, t + 1 >= limit


@pytest.mark.parametrize("moves", [5, 9])
@pytest.mark.parametrize("shape", [(4, 5), (6, 7)])
def test_random_walks_are_those_of_the_numpy_engine(moves, shape):
    limit = 230
    level = make_level(4, 5, (1, 0), CERTAIN, limit, WALLS, shape, slots=6)
    env = from_level(level, moves=moves)
    planes = from_level(level, moves=moves, observation="planes")
    actions = np.random.default_rng(moves).integers(0, moves, 240)

    def play(actions):
        def body(state, action):
            out = env.step(jax.random.key(7), state, action, level)
            seen = planes.step(jax.random.key(7), state, action, level).obs
            return out.state, (out._replace(state=None), out.state, seen)

        obs, state = env.reset(jax.random.key(0), level)
        return obs, jax.lax.scan(body, state, actions)[1]

    first, (outs, states, seen) = program(play)(actions.astype(np.int32))
    cells = shape[0] * shape[1]
    assert first == shape[1] + cells * 0b1111
    indices = set()
    for t, (cell, exists, reward, terminated, truncated) in enumerate(numpy_episode(actions, moves, limit)):
        agent = cell[0] * shape[1] + cell[1]
        assert states.agent[t] == agent, t
        np.testing.assert_array_equal(states.exists[t], [*exists, False, False])
        assert outs.reward[t] == reward
        assert (outs.terminated[t], outs.truncated[t]) == (terminated, truncated)
        assert outs.obs[t] == agent + cells * sum(2**k for k, there in enumerate(exists) if there)
        expected = np.zeros((*shape, 7), np.float32)
        expected[(*cell, 6)] = 1
        for k, there in enumerate(exists):
            if there:
                expected[(*CERTAIN[k].cell, k)] = 1
        np.testing.assert_array_equal(seen[t], expected)
        indices.add(int(outs.obs[t]))
    assert outs.terminated.any()
    assert len(indices) > 20


def test_objects_of_one_type_share_a_plane():
    level = make_level(
        2, 2, (0, 0), [Object(1.0, 0, 0, (0, 1)), Object(2.0, 0, 0, (0, 1)), Object(1, 0, 0, (0, 1))], 9
    )
    env = from_level(level, observation="planes", types=(0, 1, 0))
    obs = program(env.reset)(jax.random.key(0), level)[0]
    np.testing.assert_array_equal(obs[0, 1], [2, 1, 0])
    np.testing.assert_array_equal(obs[0, 0], [0, 0, 1])
    assert env.observation_space.contains(obs)
    assert make("grid/rand-dense").observation_space.shape == (11, 11, 4)


def many(function, count, seed=0):
    return program(lambda key: jax.vmap(function)(jax.random.split(key, count)))(jax.random.key(seed))


def agree(hits, count, p):
    """Within four standard deviations of a binomial count."""
    assert abs(hits - count * p) < 4 * np.sqrt(count * p * (1 - p)) + 1e-9, (hits / count, p)


def state_of(level, agent, exists):
    return GridState(*jax.device_put((np.int32(agent), np.asarray(exists))), level.object_cells, jnp.int32(0))


@pytest.mark.parametrize("placement", ["fixed", "random"])
def test_respawn_frequencies(placement):
    p = [0.0, 1.0, 0.3, 0.002]
    level = make_level(3, 3, (0, 0), [Object(1.0, 0.0, x, (2, 2)) for x in p], 100)
    env = from_level(level, placement=placement)
    count, state = 40_000, state_of(level, 0, [False] * 4)
    stay = jnp.int32(4)
    exists = many(lambda key: env.step(key, state, stay, level).state.exists, count)
    for k in range(4):
        agree(exists[:, k].sum(), count, p[k])
    agree((exists[:, 2] & exists[:, 3]).sum(), count, p[2] * p[3])  # independent of each other


def test_termination_frequencies():
    """The chance is the sum over what is collected, at most one; what is not collected has no part."""
    chances, bits = [0.2, 0.35, 0.9], [[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 1, 0]]
    things = [Object(1.0, p, 0.1, (0, 1)) for p in chances] + [Object(1.0, 1.0, 0.0, (1, 1))]
    level = make_level(2, 2, (0, 0), things, 100)
    env, count, right = from_level(level), 20_000, jnp.int32(3)
    one = lambda key, state: env.step(key, state, right, level)
    step = program(lambda key, state: jax.vmap(one, (0, None))(jax.random.split(key, count), state))
    for there in bits:
        state = state_of(level, 0, [bool(b) for b in there] + [True])
        out = step(jax.random.key(0), state)
        stop = min(1.0, np.dot(there, chances))
        agree(out.terminated.sum(), count, stop)
        if not there[0]:  # it comes back or not, whatever the episode does
            agree((out.terminated & out.state.exists[:, 0]).sum(), count, stop * 0.1)
        assert (out.reward == sum(there)).all()
        assert out.state.exists[:, 3].all()
        taken = np.asarray(there, bool)
        assert not out.state.exists[:, :3][:, taken].any()  # no respawn in the step that collects


def uniform_over(cells, free):
    """Chi-square of counts against the uniform distribution, and no count elsewhere."""
    counts = np.bincount(np.asarray(cells).ravel(), minlength=max(free) + 1)
    assert counts.sum() == counts[free].sum()
    expected = counts.sum() / len(free)
    chi = ((counts[free] - expected) ** 2 / expected).sum()
    degrees = len(free) - 1
    assert abs(chi - degrees) < 4 * np.sqrt(2 * degrees) + 4, counts


def test_random_placement_is_uniform_over_free_cells():
    """At resets and, whatever the chance to come back, at respawns: one random number serves both."""
    things = [Object(1.0, 0.0, 0.01), Object(1.0, 0.0, 1.0)]
    level = make_level(3, 4, (1, 1), things, 100, [(0, 0), (1, 2), (2, 3)], shape=(5, 6))
    free = [r * 6 + c for r in range(3) for c in range(4) if (r, c) not in [(0, 0), (1, 2), (2, 3)]]
    env = from_level(level, placement="random")
    starts = many(lambda key: env.reset(key, level)[1], 20_000)
    assert starts.exists.all()
    assert (starts.agent == 7).all()
    uniform_over(starts.object_cells[:, 0], free)
    assert abs(np.corrcoef(np.asarray(starts.object_cells).T)[0, 1]) < 0.03
    state = state_of(level, 7, [False, False])
    after = many(lambda key: env.step(key, state, jnp.int32(4), level).state, 400_000, seed=2)
    rare = np.asarray(after.exists[:, 0])
    agree(rare.sum(), len(rare), 0.01)
    uniform_over(after.object_cells[rare, 0], free)
    uniform_over(after.object_cells[:20_000, 1], free)


RAND = [name for name in available("grid") if name.startswith("grid/rand")]


@pytest.mark.parametrize("name", RAND)
def test_no_object_is_ever_in_a_wall(name):
    """Of the reference code's resets of rand_small, 17 % put an object into a wall."""
    family = name.removeprefix("grid/random-") if name.startswith("grid/random-") else None
    env = make(name, placement="random")

    def play(key):
        key_level, key_start, key_play = jax.random.split(key, 3)
        level = sample_level(key_level, family) if family else env.params
        level = dataclasses.replace(level, p_respawn=jnp.full_like(level.p_respawn, 0.7))
        drawn = sample_level(key_level, family).object_cells if family else env.params.start[None]

        def body(state, key):
            keys = jax.random.split(key)
            out = env.step(keys[0], state, env.action_space.sample(keys[1]), level)
            return out.state, out.state

        start = env.reset(key_start, level)[1]
        states = jax.lax.scan(body, start, jax.random.split(key_play, 20))[1]
        states = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), start, states)
        bad = lambda cells: level.walls.reshape(-1)[cells]
        moved = jnp.any(states.object_cells != start.object_cells)
        return (
            jnp.any(states.exists & bad(states.object_cells)),
            jnp.any(bad(states.agent)),
            jnp.any(bad(drawn)),
            moved,
        )

    in_wall, agent, drawn, moved = many(play, 200)
    assert not in_wall.any()
    assert not agent.any()
    assert not drawn.any()
    assert moved.any()


def test_the_time_limit_does_not_end_the_value():
    """One cell, an object that comes back: rewards 1, 0, 1, 0, … without end, cut after five steps.

    With truncated transitions bootstrapped, tabular evaluation gives 1 / (1 - gamma^2) where the object exists. A
    limit merged into `terminated` would give the five-step sum.
    """
    gamma = 0.9
    level = make_level(1, 1, (0, 0), [Object(1.0, 0.0, 1.0, (0, 0))], 5)
    env = from_level(level)
    step = program(env.step)
    obs, state = program(env.reset)(jax.random.key(0), level)
    transitions = []
    for t in range(5):
        out = step(jax.random.key(t), state, np.int32(4), level)
        transitions.append((int(obs), float(out.reward), bool(out.terminated), int(out.obs)))
        assert bool(out.truncated) == (t == 4)
        obs, state = out.obs, out.state
    values = np.zeros(2)
    for _ in range(400):
        for now, reward, terminated, then in transitions:
            values[now] = reward + gamma * (not terminated) * values[then]
    np.testing.assert_allclose(values, [gamma / (1 - gamma**2), 1 / (1 - gamma**2)], rtol=1e-6)


def test_levels_per_slot_in_one_program():
    """A batch of levels, each its own parameters, gives what each level gives alone."""
    many = jax.vmap(lambda key: sample_level(key, "small"))
    levels = program(lambda key: many(jax.random.split(key, 5)))(jax.random.key(3))
    env = make("grid/random-small")
    venv = vectorize(env, 5, params_per_slot=True)
    state = program(venv.reset)(jax.random.key(0), levels)
    np.testing.assert_array_equal(state.env.agent, levels.start)

    @program
    def step(key, state, levels):
        actions = jax.random.randint(key, (5,), 0, 5, jnp.int32)
        return actions, venv.step(key, state, actions, levels)

    single = program(lambda key, i, *given: env.step(jax.random.split(key, (2, 5))[0, i], *given))
    for t in range(8):
        before, key = state.env, jax.random.key(t)
        actions, (state, out) = step(key, state, levels)
        for i in range(5):
            level, alone = jax.tree.map(lambda x, i=i: x[i], (levels, before))
            expected = single(key, i, alone, actions[i], level)
            assert out.reward[i] == expected.reward
            assert out.terminated[i] == expected.terminated
            assert out.truncated[i] == expected.truncated
            if not (expected.terminated or expected.truncated):
                assert state.env.agent[i] == expected.state.agent
                np.testing.assert_array_equal(state.env.exists[i], expected.state.exists)


def test_gymnax_users_can_run_it():
    """gymnax's own step: six values, both flags, a reset by itself."""
    environment = GridWorld(make_level(2, 3, (0, 0), [Object(1.0, 1.0, 0.0, (0, 2))], 4))
    obs, state = environment.reset(jax.random.key(0))
    assert obs == 6
    for action, reward, terminated in [(3, 0.0, False), (3, 1.0, True), (4, 0.0, False)]:
        obs, state, r, over, cut, info = environment.step(jax.random.key(1), state, action)
        assert (float(r), bool(over), bool(cut)) == (reward, terminated, False)
    assert state.time == 1
    assert info["final_observation"] == 6


def test_what_the_environment_refuses():
    level = make_level(2, 2, (0, 0), [Object(1.0, 0.0, 0.0, (1, 1))], 4)
    for options, message in [
        ({"placement": "anywhere"}, "placement is 'anywhere'; it must be one of fixed, random"),
        ({"observation": "pixels"}, "observation is 'pixels'; it must be one of index, planes"),
        ({"placement": "random", "observation": "index"}, "random placement needs 'planes'"),
        ({"moves": 4}, "moves is 4; it must be 5 or 9"),
        ({"types": (1,)}, r"types is \[1\]; it must number"),
        ({"moven": 9}, "grid/own has no option 'moven'; did you mean 'moves'"),
    ]:
        with pytest.raises(ValueError, match=message):
            from_level(level, **options)
    batch = jax.tree.map(lambda x: x[None], level)
    with pytest.raises(
        ValueError, match=r"level.walls has shape \(1, 2, 2\); the environment is made from one"
    ):
        from_level(batch)
    with pytest.raises(ValueError, match="max_steps of grid/dense is 0; it must be at least 1"):
        make("grid/dense", max_steps=0)
    with pytest.raises(ValueError, match=r"max_steps is 2\.5; it must be int32"):
        make("grid/dense", max_steps=2.5)
    with pytest.raises(ValueError, match="has no option 'level_seed'"):
        make("grid/dense", level_seed=1)
    with pytest.raises(ValueError, match="placement of grid/rand-long is 'fixed'; its objects have no cells"):
        make("grid/rand-long", placement="fixed")
    with pytest.raises(ValueError, match="no environment 'grid/rand_long'; did you mean 'grid/rand-long'"):
        make("grid/rand_long")


def test_frames_show_walls_objects_and_agent():
    things = [Object(1.0, 0.0, 0.0, (0, 1)), Object(-1.0, 0.0, 0.0, (1, 2)), Object(0.1, 0.0, 0.0, (1, 0))]
    level = make_level(2, 3, (0, 0), things, 9, [(1, 1)], shape=(4, 5))
    env = from_level(level)
    state = jax.jit(env.reset)(jax.random.key(0), level)[1]
    frame = env.render(state, level)
    assert frame.shape == (32, 48, 3)
    assert frame.dtype == np.uint8
    at = lambda frame, row, column: frame[16 * row + 8, 16 * column + 8].astype(int)
    assert at(frame, 0, 0)[2] > at(frame, 0, 0)[0] + 80  # the agent is blue
    assert at(frame, 0, 1)[1] > at(frame, 0, 1)[0] + 50  # green is good
    assert at(frame, 1, 2)[0] > at(frame, 1, 2)[1] + 80  # red is bad
    assert at(frame, 1, 1).sum() < 200  # walls are dark
    assert at(frame, 1, 0).min() > at(frame, 0, 1).max()  # a small reward is pale
    moved = env.render(jax.jit(env.step)(jax.random.key(0), state, jnp.int32(3), level).state, level)
    assert (at(moved, 0, 0) > 240).all()  # taken, and left
    assert at(moved, 0, 1)[2] > at(moved, 0, 1)[0] + 80
