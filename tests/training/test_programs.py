"""A process compiles a program once: what does not determine it is data, and what does compiles anew."""

import dataclasses
import gc

import jax
import numpy as np
import pytest
import walk
from compiled import counted
from same import assert_equal

from jaxrl_envs import registry
from jaxrl_evolve.algorithms.rainbow import VARIANTS
from jaxrl_evolve.algorithms.sequence import SEQUENCES
from jaxrl_evolve.algorithms.table import BUILTIN_ALGORITHMS
from jaxrl_evolve.objectives import lpo
from jaxrl_evolve.objectives.drift.lpo import LPOConfig
from jaxrl_evolve.objectives.kinds import WRITTEN
from jaxrl_evolve.objectives.stored import StoredObjective, save
from jaxrl_evolve.runs.axes import device_mesh
from jaxrl_evolve.runs.evaluation import make_evaluation
from jaxrl_evolve.training import programs
from jaxrl_evolve.training.experiment import build, identity, traced
from jaxrl_evolve.training.programs import AXIS, compile_programs
from jaxrl_evolve.training.restore import evaluate_folder, load
from jaxrl_evolve.training.train import train


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run, and the evaluation of its agents; nothing is kept of other tests' programs."""
    walk.forget()
    out = tmp_path_factory.mktemp("runs") / "first"
    config = walk.config(seeds=2)
    train(config, out)
    evaluate_folder(out, 4, max_steps=20)
    return config, out


def other_data(config):
    hp = dataclasses.replace(config.hp, learning_rate=3e-3, clip=0.1)
    return dataclasses.replace(config, hp=hp, seed=7, steps=2 * config.steps, rows=3, keep=1)


@pytest.mark.core
def test_other_data_compile_nothing_and_come_out_as_compiled_anew(first):
    config = other_data(first[0])
    walk.traces.clear()
    with counted() as counts:
        kept = train(config)
    assert counts == {"traced": 0, "compiled": 0} and not walk.traces
    assert kept.summary["compile_seconds"] < 0.5
    walk.forget()
    with counted() as counts:
        anew = train(config)
    assert len(walk.traces) == 3 and counts["compiled"] >= 3
    assert_equal(kept.states, anew.states)
    assert kept.eval_return == anew.eval_return
    for row, other in zip(kept.rows, anew.rows, strict=True):
        assert {**row, "seconds": 0} == {**other, "seconds": 0}


def test_resuming_and_evaluating_again_compile_nothing(first):
    config, out = first
    states, there = load(out).learner_state, evaluate_folder(out, 4, max_steps=20)
    with counted() as counts:
        train(config, out, resume=True, step=8)
        again = evaluate_folder(out, 4, max_steps=20)
        evaluate_folder(out, 4, max_steps=20, seed=5)
    assert counts == {"traced": 0, "compiled": 0}
    assert_equal(load(out).learner_state, states)
    walk.forget()
    anew = evaluate_folder(out, 4, max_steps=20)
    assert walk.traces
    for other in (again, anew):
        np.testing.assert_array_equal(other["eval_return"], there["eval_return"])


def test_kept_programs_hold_no_states(first):
    train(first[0])
    before = count_arrays()
    result = train(first[0])
    assert count_arrays() > before
    del result
    assert count_arrays() == before


def count_arrays():
    gc.collect()
    return len(jax.live_arrays())


def evaluation(**changes):
    return lambda c: {"evaluation": dataclasses.replace(c.evaluation, **changes)}


DETERMINES = {
    "minibatches": lambda c: {"learner": dataclasses.replace(c.learner, minibatches=4)},
    "network": lambda c: {
        "learner": dataclasses.replace(c.learner, network=dataclasses.replace(c.learner.network, hidden=(9,)))
    },
    "objective": lambda c: {"objective": "lpo"},
    "env_options": lambda c: {"env_options": {"nan_rate": "0.5"}},
    "num_envs": lambda c: {"num_envs": 8},
    "rollout_length": lambda c: {"rollout_length": 8},
    "resets": lambda c: {"resets": "pool:4"},
    "seeds": lambda c: {"seeds": 4},
    "group": lambda c: {"group": 1},
    "episodes": evaluation(episodes=3),
    "max_steps": evaluation(max_steps=19),
    "mode": evaluation(mode="sample"),
}


@pytest.fixture
def anew(first, monkeypatch):
    """What is raised if something would be compiled anew."""
    train(first[0])

    class Anew(Exception):
        pass

    def refuse(*arguments):
        raise Anew

    monkeypatch.setattr(programs, "_jit", refuse)
    train(other_data(first[0]))
    return Anew


@pytest.mark.filterwarnings("ignore:the horizon of:jaxrl_evolve.objectives.HorizonWarning")
@pytest.mark.parametrize("change", DETERMINES)
def test_what_determines_a_program_compiles_anew(first, anew, change):
    with pytest.raises(anew):
        train(dataclasses.replace(first[0], **DETERMINES[change](first[0])))


@pytest.mark.parametrize("name", ["environment", "algorithm", "objective"])
def test_a_name_that_comes_to_mean_another_compiles_anew(first, name, monkeypatch):
    table, key, other = {
        "environment": (registry._registered, walk.NAME, lambda **options: walk.make(**options)),
        "algorithm": (BUILTIN_ALGORITHMS, "ppo", BUILTIN_ALGORITHMS["ppo"]._replace(summary="another")),
        "objective": (WRITTEN, "ppo-clip", lambda: lpo()),
    }[name]
    config = dataclasses.replace(first[0], objective="ppo-clip")
    before = identity(config)
    assert identity(other_data(config)) == before and hash(identity(config)) == hash(before)
    monkeypatch.setitem(table, key, other)
    assert identity(config) != before


def test_another_environment_of_the_same_name_is_the_one_that_is_trained_in(first, monkeypatch):
    def generous(**options):
        env = walk.make(**options)
        step = lambda *x: (out := env.step(*x))._replace(reward=out.reward + 1000.0)
        return dataclasses.replace(env, step=step)

    monkeypatch.setitem(registry._registered, walk.NAME, generous)
    assert min(train(first[0]).eval_return) > 7000


def test_a_stored_objective_counts_by_its_content(first, tmp_path):
    filled = lambda number: jax.tree.map(lambda x: np.full_like(x, number), lpo().init(jax.random.key(0)))
    of = lambda name: identity(dataclasses.replace(first[0], objective=str(tmp_path / name)))
    for name, number in {"a.npz": 1.0, "b.npz": 1.0, "c.npz": 2.0}.items():
        save(tmp_path / name, StoredObjective("lpo", LPOConfig(), filled(number)))
    assert of("a.npz") == of("b.npz") != of("c.npz")


def test_settings_without_a_json_form_are_not_kept(first):
    config = first[0]
    assert identity(dataclasses.replace(config, env_options={"nan_rate": object()})) is None
    infinite, none = ({"nan_rate": x} for x in (float("inf"), None))
    assert identity(dataclasses.replace(config, env_options=infinite)) != identity(
        dataclasses.replace(config, env_options=none)
    )


def test_other_devices_and_settings_of_jax_compile_anew(first):
    config = first[0]

    def compile(mesh):
        with counted() as counts:
            compile_programs(
                build(config), traced(config.hp), 2, 1, config.evaluation, 0, mesh, identity(config)
            )
        return counts["compiled"]

    two = device_mesh(AXIS, jax.devices()[:2])
    assert compile(None) == 0  # the fixture's
    assert compile(two) >= 3
    assert compile(two) == 0
    with jax.default_matmul_precision("highest"):
        assert compile(None) >= 3


def test_other_devices_of_the_same_number_compile_anew(first, anew):
    config = first[0]
    hp, others = traced(config.hp), device_mesh(AXIS, jax.devices()[2:4])
    with pytest.raises(anew):
        compile_programs(build(config), hp, 2, 1, config.evaluation, 0, others, identity(config))


# Of the presets of one learner one is enough, of those of completions one with opponents besides.
SETTINGS = {*VARIANTS, *SEQUENCES} - {"rainbow", "grpo", "nash-md"}
LEARNERS = [name for name in BUILTIN_ALGORITHMS if name not in SETTINGS]


@pytest.mark.parametrize("name", LEARNERS)
def test_hyperparameters_of_the_factory_are_in_no_program(name):
    """A program is kept for other hyperparameters, so it may know them by its argument alone."""
    rule = {"lpg": "lpg", "disco": "disco"}.get(name, "")
    learner = {"horizon": walk.LENGTH} if name == "spo" else {"group": 2} if name in SEQUENCES else {}
    config = walk.config(name, objective=rule, learner=learner)
    if "sac" in name or name == "pebble":
        config = dataclasses.replace(config, env="Pendulum-v1")
    numbers = {field.name: 0.125 for field in dataclasses.fields(config.hp)}
    numbers |= {name: 1.0 for name in ("steps", "steps_start") if name in numbers}
    if name in SEQUENCES and config.learner.past == "none":
        numbers["past_mixture"] = 0.0  # a weight of nobody is refused
    if name in SEQUENCES and config.learner.kl == "none":
        numbers["kl_coef"] = 0.0
    texts = []
    for hp in (config.hp, type(config.hp)(**numbers)):
        env, learner, chunk, *_ = build(dataclasses.replace(config, hp=hp))
        start = (jax.random.key(0), traced(config.hp), env.params)
        state = jax.eval_shape(chunk.init, *start)
        eta = jax.eval_shape(learner.init_objective, jax.random.key(0))
        rest = (traced(config.hp), eta, env.params, np.float32(4), np.int32(1))
        played = make_evaluation(env, learner, 2, 9)
        lowered = (
            jax.jit(chunk.init).lower(*start),
            jax.jit(chunk.run).lower(state, *rest),
            jax.jit(played).lower(jax.random.key(0), state.learner, env.params),
        )
        texts.append([program.as_text() for program in lowered])  # with all constants, unlike a jaxpr
    assert texts[0] == texts[1]
