"""The craftax adapter: death and lava apart from the step limit, on a small map; the starts of worlds that are specs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import check_env, make

pytest.importorskip("craftax")
NOOP = jnp.asarray(0, jnp.int32)


@pytest.fixture(scope="module")
def classic():
    env = make("craftax/Craftax-Classic-Symbolic-v1", map_size=(16, 16), max_timesteps=3)
    return env, jax.jit(env.reset), jax.jit(env.step)


@pytest.fixture(scope="module")
def worlds():
    """``(key, data) -> (obs, state)``: starts of specs on small maps, all of one program."""
    from jaxrl_envs.specs.craftax.encoding import encode
    from jaxrl_envs.specs.craftax.engine import from_spec
    from jaxrl_envs.specs.craftax.reading import read

    reset = jax.jit(from_spec(read({"size": "small"})).reset)

    def start(seed, data):
        return jax.device_get(reset(jax.random.key(seed), encode(read({"size": "small", **data}))))

    yield start
    assert reset._cache_size() == 1


def test_limit_is_truncation(classic):
    env, reset, step = classic
    _, state = reset(jax.random.key(0), env.params)
    for t in range(1, 5):
        out = step(jax.random.key(t), state, NOOP, env.params)
        assert bool(out.truncated) == (t >= 3)
        assert not bool(out.terminated)
        assert out.state.timestep == t
        state = out.state


def test_death_and_lava_are_termination(classic):
    from craftax.craftax_classic.constants import BlockType

    env, reset, step = classic
    _, state = reset(jax.random.key(0), env.params)
    x, y = state.player_position
    lava = state.replace(map=state.map.at[x, y].set(BlockType.LAVA.value))
    dead = state.replace(player_health=jnp.asarray(-5, jnp.int32))
    for start in (lava, dead):
        out = step(jax.random.key(0), start, NOOP, env.params)
        assert bool(out.terminated)
        assert not bool(out.truncated)
    both = step(jax.random.key(0), dead.replace(timestep=jnp.asarray(2, jnp.int32)), NOOP, env.params)
    assert bool(both.terminated)
    assert bool(both.truncated)


def test_the_observation_is_of_the_returned_state(classic):
    from craftax.craftax_classic.renderer import render_craftax_symbolic

    env, reset, step = classic
    _, state = reset(jax.random.key(0), env.params)
    out = step(jax.random.key(0), state.replace(player_health=jnp.asarray(-5, jnp.int32)), NOOP, env.params)
    np.testing.assert_allclose(out.obs, jax.jit(render_craftax_symbolic)(out.state))


def test_achievements_have_one_shape_and_names(classic):
    from jaxrl_envs.adapters.craftax import achievements

    env, reset, step = classic
    _, state = reset(jax.random.key(0), env.params)
    assert list(step(jax.random.key(0), state, NOOP, env.params).info) == ["achievements"]
    assert env.metrics == ("achievements",)
    names = achievements(env.name)
    first = names.index("wake_up")
    state = state.replace(achievements=state.achievements.at[first].set(True))
    won = step(jax.random.key(0), state, NOOP, env.params).info["achievements"]
    assert won.shape == (len(names),) == (22,)
    assert won.dtype == bool
    assert bool(won[first])


def test_options_are_checked():
    for wrong in (16, (16,), (16.0, 16), "16"):
        with pytest.raises(ValueError, match=r"map_size is .*; it must be a pair of whole numbers"):
            make("craftax/Craftax-Classic-Symbolic-v1", map_size=wrong)
    with pytest.raises(ValueError, match="has no option 'mapsize'; did you mean 'map_size'"):
        make("craftax/Craftax-Classic-Symbolic-v1", mapsize=(16, 16))


def test_the_usual_spec_starts_as_craftax_does(classic, worlds):
    env, reset, _ = classic
    for seed in range(12):
        ours, theirs = worlds(seed, {}), jax.device_get(reset(jax.random.key(seed), env.params))
        for (path, mine), other in zip(
            jax.tree_util.tree_leaves_with_path(ours), jax.tree.leaves(theirs), strict=True
        ):
            assert mine.dtype == other.dtype, path
            if jnp.issubdtype(mine.dtype, jax.dtypes.prng_key):
                mine, other = jax.random.key_data(mine), jax.random.key_data(other)
            if np.issubdtype(mine.dtype, np.floating):
                np.testing.assert_array_max_ulp(mine, other, 1)
            else:
                np.testing.assert_array_equal(mine, other, str(path))


def share(blocks, name):
    from jaxrl_envs.specs.craftax.model import BLOCKS

    return float((blocks == BLOCKS[name]).mean())


def test_numbers_of_the_generator_do_what_they_say(worlds):
    made = lambda data: np.stack([worlds(seed, data)[1].map for seed in range(6)])
    usual = made({})
    flat = made({"terrain": {"mountain_scale": 0.1, "water_scale": 0.1, "tree_share": 1.0}})
    assert {*np.unique(flat)} == {2, 5}  # grass and trees, and no diamond where there is no stone
    assert share(flat, "tree") > 3 * share(usual, "tree")
    rich = made({"terrain": {"coal": 1.0, "always_diamond": False}})
    assert (
        share(rich, "coal") > 0 and share(rich, "stone") == share(rich, "iron") == share(rich, "diamond") == 0
    )
    assert (((usual == 4) | ((usual >= 8) & (usual <= 10))) == (rich == 8)).all()
    peaks = made({"terrain": {"mountain_scale": 2.0, "mountain_ridged": True}, "start": {"block": "path"}})
    assert (peaks[:, 8, 8] == 7).all() and share(peaks, "grass") < 0.7 * share(usual, "grass")
    moved = worlds(0, {"start": {"row": 1, "column": 14}, "terrain": {"clear_radius": 64}})[1]
    assert [*moved.player_position] == [1, 14] and {*np.unique(moved.map)} <= {2, 5, 13, 3}
    assert share(made({"terrain": {"clear_radius": 25}}), "stone") == 0  # as feasibility has it


def test_an_episode_starts_as_the_spec_says(worlds):
    start = {
        "health": 5,
        "food": 4,
        "drink": 3,
        "energy": 2,
        "hunger": 7.5,
        "asleep": True,
        "time": 150,
        "facing": "right",
        "inventory": {"wood": 3, "iron_sword": 1},
        "achieved": ["wake_up"],
        "placed": [
            {"block": "grass", "on": "tree", "count": 16, "farthest": 32},
            {"block": "table", "on": "grass", "count": 2, "nearest": 2, "farthest": 3},
            {"block": "path", "on": "grass", "count": 9, "nearest": 4, "farthest": 8},
        ],
        "plants": {"count": 4, "age": 600, "nearest": 3, "farthest": 3},
        "cows": {"count": 2, "nearest": 2, "farthest": 2},
        "zombies": {"count": 3, "nearest": 1, "farthest": 4},
        "skeletons": {"count": 2, "nearest": 4, "farthest": 8},
    }
    obs, state = worlds(3, {"start": start, "world": {"zombie_health": 7}})
    assert [state.player_health, state.player_food, state.player_drink, state.player_energy] == [5, 4, 3, 2]
    assert (state.player_hunger, bool(state.is_sleeping), state.timestep) == (7.5, True, 150)
    progress = (150 / 300) % 1 + 0.3
    np.testing.assert_allclose(state.light_level, 1 - abs(np.cos(np.pi * progress)) ** 3, atol=1e-6)
    assert (state.player_direction, state.inventory.wood, state.inventory.iron_sword) == (2, 3, 1)
    assert [*np.flatnonzero(state.achievements)] == [15]
    away = lambda cells: np.abs(np.asarray(cells) - [8, 8]).sum(-1)
    tables = np.argwhere(state.map == 11)
    assert len(tables) == 2 and {*away(tables)} <= {2, 3}
    assert (
        len({*map(tuple, state.growing_plants_positions[:4])}) == 4
        and (state.growing_plants_age[:4] == 600).all()
    )
    assert [*state.growing_plants_mask] == [True] * 4 + [False] * 6
    assert (away(state.growing_plants_positions[:4]) == 3).all() and (state.map == 16).sum() == 4
    taken = np.zeros((16, 16), bool)
    for mobs, count, ground, health in (
        (state.cows, 2, {2}, 3),
        (state.zombies, 3, {2, 7}, 7),
        (state.skeletons, 2, {7}, 3),
    ):
        at = mobs.position[mobs.mask]
        assert mobs.mask.sum() == count and (mobs.health[mobs.mask] == health).all()
        assert {*state.map[at[:, 0], at[:, 1]]} <= ground and not taken[at[:, 0], at[:, 1]].any()
        taken[at[:, 0], at[:, 1]] = True
    assert (state.mob_map == taken).all() and taken.sum() == 7 and not taken[8, 8]
    assert obs.shape == (1345,) and np.isfinite(obs).all()


def test_without_goals_a_world_is_won_by_all_that_was_not_done_before():
    from jaxrl_envs.specs.craftax.encoding import encode
    from jaxrl_envs.specs.craftax.engine import outcome
    from jaxrl_envs.specs.craftax.model import SKILLS
    from jaxrl_envs.specs.craftax.reading import read

    done = lambda *names: jnp.asarray([name in names for name in SKILLS])
    for achieved, goals, there, won in (
        ((), (), SKILLS, True),
        ((), (), SKILLS[1:], False),
        (SKILLS[:1], (), SKILLS, True),
        (SKILLS[:1], (), SKILLS[:-1], False),
        (SKILLS[:1], SKILLS[1:2], SKILLS[:2], True),
        (SKILLS[:1], SKILLS[1:2], SKILLS[:1], False),
    ):
        params = encode(read({"size": "small", "goals": [*goals], "start": {"achieved": [*achieved]}}))
        skills, success = outcome(done(*there), params)
        assert bool(success) == won
        np.testing.assert_array_equal(skills, done(*there) & ~done(*achieved))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("game", ["Craftax-Classic", "Craftax"])
@pytest.mark.parametrize("view", ["Symbolic", "Pixels"])
def test_contract(game, view):
    check_env(make(f"craftax/{game}-{view}-v1", map_size=(16, 16)), steps=4, eager=False)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_render():
    env = make("craftax/Craftax-Classic-Symbolic-v1", map_size=(16, 16))
    _, state = jax.jit(env.reset)(jax.random.key(0), env.params)
    frame = env.render(state, env.params)
    assert frame.dtype == np.uint8
    assert frame.shape == (144, 144, 3)
    assert frame.std() > 10


@pytest.fixture(scope="module")
def small_world():
    return make("specs/craftax", size="small", max_steps=40)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("size", "steps"), [("small", 2_000), ("large", 10_000)])
def test_the_usual_spec_plays_as_craftax_does(size, steps):
    from craftax.craftax_classic.envs.craftax_state import StaticEnvParams
    from craftax.craftax_classic.envs.craftax_symbolic_env import CraftaxClassicSymbolicEnvNoAutoReset

    env, keys, stretch = make("specs/craftax", size=size), 64, 50
    side = env.params.start.row * 2
    theirs = CraftaxClassicSymbolicEnvNoAutoReset(StaticEnvParams(map_size=(int(side),) * 2))
    stock = lambda key, state, action, params: theirs.step_env(key, state, action, params)[:4]
    ours = lambda key, state, action, params: (
        lambda o: (o.obs, o.state, o.reward, o.terminated | o.truncated)
    )(env.step(key, state, action, params))

    def played(reset, step, params):
        fresh = jax.jit(lambda key: jax.vmap(reset, (0, None))(jax.random.split(key, keys), params)[1])

        def once(state, key):
            key_act, key_step = jax.random.split(key)
            action = jax.random.randint(key_act, (keys,), 0, 17)
            out = jax.vmap(step, (0, 0, 0, None))(jax.random.split(key_step, keys), state, action, params)
            cast = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), out[1], state)
            seen = (
                out[0].sum(-1),
                out[0][:, -60:],
                out[2],
                out[3],
                cast.map.sum((1, 2)),
                cast.player_position,
            )
            return cast, seen

        run = jax.jit(lambda key, state: jax.lax.scan(once, state, jax.random.split(key, stretch)))
        select = jax.jit(
            lambda over, new, old: jax.vmap(
                lambda o, a, b: jax.tree.map(lambda x, y: jnp.where(o, x, y), a, b)
            )(over, new, old)
        )
        state = jax.tree.map(jnp.asarray, fresh(jax.random.key(0)))
        for i in range(steps // stretch):
            key = jax.random.fold_in(jax.random.key(1), i)
            state, seen = run(key, state)
            yield jax.device_get((state, seen))
            over = seen[3].any(0)  # what happens after an end is compared as well
            state = select(over, jax.tree.map(lambda x, y: jnp.asarray(x, y.dtype), fresh(key), state), state)

    ends = 0
    both = zip(
        played(env.reset, ours, env.params),
        played(theirs.reset_env, stock, theirs.default_params),
        strict=True,
    )
    for one, other in both:
        for (path, x), y in zip(
            jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True
        ):
            if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
                x, y = jax.random.key_data(x), jax.random.key_data(y)
            if np.issubdtype(x.dtype, np.floating):
                np.testing.assert_array_max_ulp(x, y, 1)
            else:
                np.testing.assert_array_equal(x, y, str(path))
        ends += one[1][3].any(0).sum()
    assert ends > steps / 100  # there were fresh worlds again and again


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_worlds_are_an_environment_with_levels(small_world):
    check_env(small_world, steps=4, eager=False)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_goals_and_ends_of_worlds(small_world):
    from jaxrl_envs.specs.craftax.encoding import encode
    from jaxrl_envs.specs.craftax.reading import read

    reset, step = jax.jit(small_world.reset), jax.jit(small_world.step)
    start = {"time": 100, "energy": 9, "asleep": True, "achieved": ["collect_wood"]}
    for goals, ends, won in (
        (["wake_up"], True, True),
        (["wake_up"], False, True),
        (["wake_up", "eat_cow"], True, False),
    ):
        data = {"size": "small", "start": start, "goals": goals, "ends_on_success": ends, "time_limit": 2}
        params = encode(read(data))
        _, state = reset(jax.random.key(0), params)
        out = step(jax.random.key(1), state, NOOP, params)
        assert (
            bool(out.info["success"]) == won and bool(out.terminated) == (won and ends) and not out.truncated
        )
        assert [*np.flatnonzero(out.info["skills"])] == [15] and out.info["achievements"].sum() == 2
        assert float(out.reward) == 1.0
        assert bool(step(jax.random.key(2), out.state, NOOP, params).truncated)
    assert step._cache_size() == 1
