"""Names, options and registration: what `make` accepts, and what it says when it does not."""

import importlib.metadata
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from jaxrl_envs import Box, Discrete, Env, EnvStep, available, make, register, registry


def tiny(name: str = "Tiny-v0", size: int = 2) -> Env:
    def step(key, state, action, params):
        no = jnp.zeros((), bool)
        return EnvStep(jnp.zeros(size), state, jnp.zeros(()), no, no, {})

    reset = lambda key, params: (jnp.zeros(size), ())
    return Env(name, reset, step, (), Box(-1.0, 1.0, (size,)), Discrete(2))


def point(name: str) -> importlib.metadata.EntryPoint:
    """An entry point as an installed package would declare it."""
    return importlib.metadata.EntryPoint(name, f"{__name__}:tiny", "jaxrl_envs")


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


def install(monkeypatch, *points):
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: list(points) if group == "jaxrl_envs" else []
    )


def test_names_are_those_of_the_suites():
    from jaxrl_envs import gridworlds, maze, names, point_mass, token
    from jaxrl_envs.adapters import atari, brax, craftax, gymnax
    from jaxrl_envs.gridworlds import chains

    gymnax_names = pytest.importorskip("gymnax").registration._BUILTIN_ENV_IDS
    assert sorted(available("gymnax")) == sorted(gymnax_names)
    with brax.quiet_brax():
        from brax import envs
    assert sorted(available("brax")) == sorted(f"brax/{name}" for name in envs._envs)
    assert len(gymnax.NAMES) == len(set(gymnax.NAMES))
    listed = (names.GRID, names.CHAIN, names.POINT, names.MAZE, names.TOKEN)  # without the tables of levels
    assert listed == (gridworlds.NAMES, chains.NAMES, point_mass.NAMES, maze.NAMES, token.NAMES)
    assert (names.CRAFTAX, names.ATARI) == (craftax.NAMES, atari.NAMES)
    assert len(names.ATARI) == len(set(names.ATARI)) == 57 and len(names.ATARI_100K) == 26
    suites = (
        "gymnax",
        "brax",
        "craftax",
        "octax",
        "atari",
        "grid",
        "chain",
        "point",
        "maze",
        "token",
        "specs",
    )
    assert available() == [name for suite in suites for name in available(suite)]


def test_craftax_names_are_those_craftax_makes():
    craftax_env = pytest.importorskip("craftax.craftax_env")
    makes = craftax_env.make_craftax_env_from_name.__code__.co_consts
    names = {c for c in makes if isinstance(c, str) and c.endswith("-v1") and "AutoReset" not in c}
    assert {name.removeprefix("craftax/") for name in available("craftax")} == names


def test_importing_the_package_imports_no_suite():
    code = (
        "import sys, jaxrl_envs; jaxrl_envs.available(); jaxrl_envs.check_env; "
        "print([m for m in ('gymnax', 'brax', 'craftax', 'mujoco') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_unknown_names_and_suites_name_near_matches():
    with pytest.raises(ValueError, match=r"no environment 'cartpole-v1'; did you mean 'CartPole-v1'"):
        make("cartpole-v1")
    with pytest.raises(ValueError, match=r"'brax/halfcheetah'"):
        make("brax/half_cheetah")
    with pytest.raises(ValueError, match=r"no suite 'brx'; did you mean 'brax'"):
        available("brx")


def test_unknown_and_ill_typed_options_are_named():
    with pytest.raises(ValueError, match=r"CartPole-v1 has no option 'gravit'; did you mean 'gravity'"):
        make("CartPole-v1", gravit=3)
    with pytest.raises(ValueError, match=r"max_steps_in_episode is 2\.5; it must be int32"):
        make("CartPole-v1", max_steps_in_episode=2.5)
    with pytest.raises(ValueError, match=r"backend is 'bullet'; it must be one of generalized"):
        make("brax/ant", backend="bullet")
    with pytest.raises(ValueError, match=r"episode_length is 0; it must be a whole number"):
        make("brax/fast", episode_length=0)
    with pytest.raises(ValueError, match=r"brax/hopper has no option 'nframes'; did you mean 'n_frames'"):
        make("brax/hopper", nframes=3)


def test_options_reach_class_and_parameters():
    env = make("gymnax/Catch-bsuite", rows=6, max_steps_in_episode=7)
    assert env.name == "Catch-bsuite"
    assert env.observation_space.shape == (6, 5)
    assert env.params.max_steps_in_episode == 7
    gravity = make("CartPole-v1", gravity=3).params.gravity
    assert gravity.dtype == jnp.float32
    assert gravity == 3.0
    assert all(not leaf.weak_type for leaf in jax.tree.leaves(env.params))


def test_register_by_call():
    register("mine/Tiny-v0", tiny)
    assert make("mine/Tiny-v0", size=3).observation_space.shape == (3,)
    assert available("mine") == ["mine/Tiny-v0"]
    with pytest.raises(ValueError, match="already registered"):
        register("mine/Tiny-v0", tiny)
    with pytest.raises(ValueError, match="already registered"):
        register("CartPole-v1", tiny)
    with pytest.raises(ValueError, match="already registered"):
        register("gymnax/CartPole-v1", tiny)  # another name of the same
    assert make("gymnax/CartPole-v1").name == "CartPole-v1"


def test_register_by_entry_point(monkeypatch):
    install(monkeypatch, point("their/Tiny-v0"), point("Plain-v0"))
    assert make("their/Tiny-v0", size=4).observation_space.shape == (4,)
    assert available("their") == ["their/Tiny-v0"]
    assert available("other") == ["Plain-v0"]
    assert available()[-2:] == ["their/Tiny-v0", "Plain-v0"]
    with pytest.raises(ValueError, match="already registered"):
        register("their/Tiny-v0", tiny)


def test_an_entry_point_cannot_take_a_name_in_use(monkeypatch):
    install(monkeypatch, point("CartPole-v1"))
    with pytest.raises(ValueError, match="'CartPole-v1' is registered 2 times"):
        make("CartPole-v1")
    assert available().count("CartPole-v1") == 1


def test_a_factory_must_return_an_env():
    register("mine/Wrong-v0", lambda: 3)
    with pytest.raises(TypeError, match=r"returned a int, not a jaxrl_envs\.Env"):
        make("mine/Wrong-v0")


def test_a_missing_suite_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "craftax", None)
    for module in [m for m in sys.modules if m.startswith("craftax.")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(ImportError, match=r"pip install 'jaxrl_evolve\[craftax\]'"):
        make("craftax/Craftax-Symbolic-v1")
