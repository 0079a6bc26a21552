"""What is kept of compiled programs, in the process and on disk."""

import stat

import jax
import jax.numpy as jnp
import pytest
from compiled import counted

from jaxrl_evolve import compilation
from jaxrl_evolve.compilation import KEPT, Same, forget_programs, kept, use_compilation_cache


@pytest.fixture(autouse=True)
def forgotten():
    forget_programs()
    yield
    forget_programs()


def test_a_program_is_made_once_under_its_key_and_each_time_without():
    made = []
    make = lambda: made.append(len(made)) or len(made)
    ask = lambda key, kind="kind": kept(kind, key, make)
    assert [ask("a"), ask("a"), ask("b"), ask("a")] == [1, 1, 2, 1]
    assert [ask(None), ask(None)] == [3, 4]
    assert [ask("a", "another"), ask("a"), ask("a", "another")] == [5, 1, 5]
    forget_programs()
    assert ask("a") == 6


def test_the_one_of_its_kind_used_longest_ago_makes_room():
    ask = lambda key, kind="kind", made="anew": kept(kind, key, lambda: made)
    for i in range(KEPT):
        ask(i, made=i)
        ask(i, "another", made=i)
    assert ask(0) == 0  # now the last one used
    ask(KEPT)
    assert ask(0) == 0
    assert ask(1) == "anew"
    assert {kind: len(programs) for kind, programs in compilation._programs.items()} == {
        "kind": KEPT,
        "another": KEPT,
    }
    assert ask(1, "another") == 1


def test_a_failure_is_not_kept():
    with pytest.raises(ZeroDivisionError):
        kept("kind", "a", lambda: 1 // 0)
    assert kept("kind", "a", lambda: 1) == 1


def test_an_object_is_the_same_as_itself_alone():
    thing, twin = [1], [1]
    assert Same(thing) == Same(thing) and hash(Same(thing)) == hash(Same(thing))
    assert Same(thing) != Same(twin) and Same(thing) != thing


@pytest.fixture
def as_it_was():
    settings = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in settings}
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation._look_again()


@pytest.mark.parametrize("chosen", [True, False])
def test_programs_go_to_the_users_cache_folder_or_the_chosen_one(chosen, tmp_path, monkeypatch, as_it_was):
    jax.jit(lambda x: x + 1)(jnp.float32(1))  # jax has compiled before, and settled on another folder
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / ("mine" if chosen else "jaxrl_evolve/compiled")
    use_compilation_cache(folder if chosen else None)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    with counted() as counts:
        jax.jit(lambda x: jnp.sin(x) * 3)(jnp.float32(1))
    assert counts["compiled"] == 1 and list(folder.iterdir())


def test_a_folder_that_jax_was_told_of_stays(tmp_path, monkeypatch, as_it_was):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    before = jax.config.jax_compilation_cache_dir
    use_compilation_cache()
    assert jax.config.jax_compilation_cache_dir == before
