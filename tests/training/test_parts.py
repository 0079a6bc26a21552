"""Environments, algorithms and objectives of one's own that do not fit are refused in one sentence, before a folder is made."""

import dataclasses
import json
import sys
import warnings
from functools import partial

import jax.numpy as jnp
import pytest
import walk

from jaxrl_envs.contract import Builder, EnvStep
from jaxrl_envs.spaces import Box, Discrete
from jaxrl_evolve import TrainConfig, register
from jaxrl_evolve.algorithms.ppo import PPO
from jaxrl_evolve.compilation import forget_programs
from jaxrl_evolve.curricula.domain_randomisation import domain_randomisation
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.objectives import Objective
from jaxrl_evolve.objectives.actor_critic import actor_critic_objective
from jaxrl_evolve.objectives.drift.frame import drift_objective
from jaxrl_evolve.objectives.kinds import find_objective
from jaxrl_evolve.objectives.lpg import lpg
from jaxrl_evolve.objectives.objective import no_parameters
from jaxrl_evolve.settings.notices import Notice
from jaxrl_evolve.storage.folder import FolderError
from jaxrl_evolve.storage.sinks import SinkError, read_jsonl
from jaxrl_evolve.storage.unwritten import ASIDE
from jaxrl_evolve.training import loop as training
from jaxrl_evolve.training.config import SinkConfig
from jaxrl_evolve.training.experiment import build
from jaxrl_evolve.training.interrupts import Diverged
from jaxrl_evolve.training.notices import warn_of_pixels, warn_of_unread, warn_of_warm_up
from jaxrl_evolve.training.parts import make_env
from jaxrl_evolve.training.sweep import plan, sweep
from jaxrl_evolve.training.train import train

SOUND = walk.make()


def refusal(kind, thing, tmp_path, **changes):
    """What `train` says of a thing of one's own; nothing is left of the run's folder."""
    register(kind, "own", thing)
    base = walk.config(updates=1)
    fields = {"env": "own"} if kind == "env" else {kind: "own"}
    config = dataclasses.replace(base, **{**fields, **changes})
    with pytest.raises(ValueError, match="own|mine|ppo|tiny") as caught:
        train(config, tmp_path / "runs" / "own")
    assert not (tmp_path / "runs").exists()
    said = str(caught.value)
    assert "\n" not in said
    return said


def env_with(**fields):
    """The sound environment with another step or reset; ``step_…`` changes one field of what step returns."""
    changed = {name.removeprefix("step_"): f for name, f in fields.items() if name.startswith("step_")}
    rest = {name: f for name, f in fields.items() if not name.startswith("step_")}
    if changed:

        def step(key, state, action, params):
            out = SOUND.step(key, state, action, params)
            return out._replace(**{name: f(out) for name, f in changed.items()})

        rest["step"] = step
    return lambda: dataclasses.replace(SOUND, **rest)


def fails():
    raise KeyError("no such map")


ENVS = {
    "a factory that fails": (fails, "environment 'own': its factory failed with KeyError: 'no such map'"),
    "no environment": (lambda: 3, "environment 'own': its factory gave a int; it must be a jaxrl_envs.Env"),
    "shape": (
        env_with(step_obs=lambda o: o.obs[:1]),
        r"observation from step is float32[1]; its space has float32[2]",
    ),
    "dtype": (env_with(step_reward=lambda o: jnp.int32(1)), "reward is int32[]; it must be"),
    "flag": (env_with(step_terminated=lambda o: o.reward), "terminated is float32[]; it must be"),
    "dict observations": (
        env_with(reset=lambda k, p: ({"a": jnp.zeros(2), "b": jnp.zeros(1)}, ())),
        "the observation from reset is a dict of 'a', 'b'; it must be one array",
    ),
    "gym's tuple": (
        env_with(step=lambda k, s, a, p: (jnp.zeros(2), jnp.float32(0), False, False, {})),
        "step returns a tuple of 5; it must be an EnvStep(obs, state, reward, terminated, truncated, info)",
    ),
    "gym's order": (
        env_with(
            step=lambda k, s, a, p: EnvStep(jnp.zeros(2), jnp.float32(0), jnp.bool_(0), jnp.bool_(0), {}, s)
        ),
        "reward is bool[]; it must be a strongly typed float32 scalar",
    ),
    "gym's reset": (
        env_with(reset=lambda k, p: (SOUND.reset(k, p)[0], {})),
        "step(key, state, action, params) failed with",
    ),
    "gym's signature": (
        env_with(step=lambda state, action: None),
        "step(key, state, action, params) failed with TypeError",
    ),
    "another suite's space": (env_with(action_space=(0, 1)), "action_space is (0, 1); it must be"),
    "tasks of another kind": (
        env_with(sample_params=lambda key: {"nan_rate": jnp.int32(0)}),
        "params['nan_rate'] is float32[] in the environment and int32[] from sample_params",
    ),
    "edits of another shape": (
        env_with(edit_params=lambda key, params: {"nan_rate": jnp.zeros(2)}),
        "params['nan_rate'] is float32[] in the environment and float32[2] from edit_params",
    ),
    "buildings of another shape": (
        env_with(builder=Builder(SOUND, 3, lambda state: {"nan_rate": jnp.zeros(2)})),
        "params['nan_rate'] is float32[] in the environment and float32[2] from builder.level",
    ),
    "no end of building": (
        env_with(builder=Builder(SOUND, 0, lambda state: SOUND.params)),
        "builder.steps is 0; it must be a whole number of at least 1",
    ),
}


@pytest.mark.parametrize("fault", ENVS)
def test_a_broken_environment_is_refused(fault, tmp_path):
    factory, said = ENVS[fault]
    found = refusal("env", factory, tmp_path)
    assert said in found and ("own" in found or walk.NAME in found)


def altered(**changes):
    """PPO with some functions of its learner exchanged: ``name -> function of the sound one``."""

    def make(env, num_envs, rollout_length, config, hp, objective=None):
        learner = ppo(env, num_envs, rollout_length, config, hp, objective)
        return learner._replace(**{name: change(getattr(learner, name)) for name, change in changes.items()})

    return PPO._replace(make=make)


def updating(change):
    """The update with another result: ``change(state, metrics)``."""
    return altered(update=lambda update: lambda *given: change(*update(*given)))


LEARNERS = {
    "a factory that fails": (
        PPO._replace(make=lambda *a: fails()),
        "algorithm 'own': its factory failed with KeyError: 'no such map'",
    ),
    "no learner": (
        PPO._replace(make=lambda *a: None),
        "algorithm 'own': its factory gave a NoneType; it must be a Learner",
    ),
    "no loss": (
        updating(lambda s, m: (s, {"entropy": m["entropy"]})),
        "learner 'ppo': update gives the metrics entropy; 'loss' must be among them",
    ),
    "a vector": (
        updating(lambda s, m: (s, {**m, "by_action": jnp.zeros(3)})),
        "learner 'ppo': update gives the metric 'by_action' as float32[3]; it must be a float32 scalar",
    ),
    "a taken name": (
        updating(lambda s, m: (s, {**m, "env_steps": m["loss"]})),
        "update gives a metric called 'env_steps', a name that is taken",
    ),
    "another state": (
        updating(lambda s, m: (s.params, m)),
        "learner 'ppo': update gives a state of another structure than it was before",
    ),
    "a name that breaks the table": (
        updating(lambda s, m: (s, {**m, "a b/c\n": m["loss"]})),
        r"update gives a metric called 'a b/c\n'; a name must not be empty and have no spaces, commas or quotes",
    ),
    "a store that is a dict": (
        altered(store=lambda store: {"init": None}),
        "learner 'ppo': store is a dict; it must be a Store",
    ),
    "a factory that ends the process": (
        PPO._replace(make=lambda *a: sys.exit(3)),
        "algorithm 'own': its factory failed with SystemExit: 3",
    ),
    "small integers for actions": (
        altered(
            act=lambda act: lambda *a, mode="explore": (act(*a)[0].astype(jnp.int8), *act(*a, mode=mode)[1:])
        ),
        "learner 'ppo': act in mode 'explore' gives an action of int8[4]; it must be int32[4]",
    ),
    "a name of the curriculum's": (
        updating(lambda s, m: (s, {**m, "curriculum_level": m["loss"]})),
        "update gives a metric called 'curriculum_level', a name that is taken",
    ),
    "a failure": (
        updating(lambda s, m: 1 / 0),
        "learner 'ppo': update failed with ZeroDivisionError: division by zero",
    ),
    "no pair": (updating(lambda s, m: s), "learner 'ppo': update gives a PPOState; it must be a tuple of 2"),
    "actions": (
        altered(act=lambda act: lambda *a, mode="explore": (jnp.zeros(4), *act(*a, mode=mode)[1:])),
        "learner 'ppo': act in mode 'explore' gives an action of float32[4]; it must be int32[4]",
    ),
}


@pytest.mark.parametrize("fault", LEARNERS)
def test_a_broken_learner_is_refused(fault, tmp_path):
    algorithm, said = LEARNERS[fault]
    assert said in refusal("algorithm", algorithm, tmp_path)


def loss_of(change):
    """PPO's loss with another result: ``change(total, metrics)``."""
    sound = find_objective("ppo-clip")
    assert isinstance(sound, Objective)
    return lambda: Objective(no_parameters, lambda *given: change(*sound.loss(*given)), "mine")


OBJECTIVES = {
    "a factory that fails": (fails, "objective 'own': its factory failed with KeyError: 'no such map'"),
    "no objective": (lambda: 3, "objective 'own': its factory gave a int; it must be an Objective"),
    "a vector": (loss_of(lambda x, m: (x[None], m)), "objective 'mine': loss gives float32[1]; it must be"),
    "no metrics": (
        loss_of(lambda x, m: x),
        "objective 'mine': loss gives float32[]; it must be the pair (loss, metrics)",
    ),
    "metric": (
        loss_of(lambda x, m: (x, {**m, "odd": jnp.zeros(2)})),
        "objective 'mine': loss gives the metric 'odd' as float32[2]",
    ),
    "the learner's name": (
        loss_of(lambda x, m: (x, {**m, "loss": x})),
        "objective 'mine': loss gives a metric called 'loss', a name that is taken",
    ),
    "a name of the row's": (
        loss_of(lambda x, m: (x, {**m, "eval_accuracy": x})),
        "objective 'mine': loss gives a metric called 'eval_accuracy', a name that is taken",
    ),
    "a name of the frame's": (
        lambda: actor_critic_objective("mine", lambda eta, r, a, b, c: (-a, {"entropy": a.mean()})),
        "objective 'mine': its surrogate gives a metric called 'entropy', a name that is taken",
    ),
    "a failure": (loss_of(lambda x, m: fails()), "objective 'mine': loss failed with KeyError"),
    "a mean as surrogate": (
        lambda: actor_critic_objective("mine", lambda eta, r, a, b, c: ((-a * jnp.exp(r)).mean(), {})),
        "objective 'mine': its surrogate gives an array of shape [] for samples [16, 2]; it must be one number per sample",
    ),
    "a surrogate without metrics": (
        lambda: actor_critic_objective("mine", lambda eta, r, a, b, c: -a * jnp.exp(r)),  # type: ignore[arg-type]
        "objective 'mine': its surrogate gives float32[16, 2]; it must be the pair (loss, metrics), one number per sample",
    ),
    "a column as surrogate": (
        lambda: actor_critic_objective("mine", lambda eta, r, a, b, c: ((-a * jnp.exp(r))[..., None], {})),
        "its surrogate gives an array of shape [16, 2, 1]",
    ),
    "drift": (
        lambda: drift_objective("mine", lambda eta, r, a, clip, time: jnp.square(r).mean()),
        "objective 'mine': its drift gives an array of shape []",
    ),
}


@pytest.mark.parametrize("fault", OBJECTIVES)
def test_a_broken_objective_is_refused(fault, tmp_path):
    factory, said = OBJECTIVES[fault]
    assert said in refusal("objective", factory, tmp_path)


CURRICULA = {
    "a factory that forgets to return": (
        lambda env, n: None,
        "curriculum 'own': its factory gave a NoneType; it must be a Curriculum",
    ),
    "a factory that fails": (
        lambda env, n: fails(),
        "curriculum 'own': its factory failed with KeyError: 'no such map'",
    ),
    "a vector": (
        {"metrics": lambda state: {"lengths": jnp.zeros(3)}},
        "curriculum 'own': metrics gives the metric 'lengths' as float32[3]",
    ),
    "record": (
        {"record": lambda state, outcome: jnp.zeros(2)},
        "curriculum 'own': record gives a state of another structure",
    ),
    "propose": ({"propose": lambda key, state, openings: state}, "it must be a tuple of 2"),
}


@pytest.mark.parametrize("fault", CURRICULA)
def test_a_broken_curriculum_is_refused(fault, tmp_path):
    changes, said = CURRICULA[fault]
    register("env", "own tasks", env_with(sample_params=lambda key: SOUND.params))
    factory = changes if callable(changes) else lambda e, n: domain_randomisation(e, n)._replace(**changes)
    assert said in refusal("curriculum", factory, tmp_path, env="own tasks")
    if not callable(changes):
        register("curriculum", "own", domain_randomisation)
        build(dataclasses.replace(walk.config(updates=1), curriculum="own", env="own tasks"))


def test_a_preset_that_is_none_is_refused():
    register("algorithm", "own", PPO._replace(preset=lambda env: None))
    with pytest.raises(
        ValueError,
        match="algorithm 'own': its preset gave a NoneType without num_envs, .*it must be a Preset",
    ):
        TrainConfig.preset("own", walk.NAME)


def test_an_environment_is_made_once_until_its_name_or_options_mean_another():
    made = []
    factory = lambda nan_rate=0.0: made.append(nan_rate) or walk.make(nan_rate)
    register("env", "own", factory)
    first = make_env("own", {"nan_rate": "0.5"})
    assert make_env("own", {"nan_rate": "0.25"}) is not first
    assert make_env("own", {"nan_rate": "0.5"}) is first
    limited = {"nan_rate": "0.5", "wrappers": "time_limit:3"}
    assert make_env("own", limited) is make_env("own", limited) is not first
    assert made == [0.5, 0.25, 0.5]
    forget_programs()
    assert make_env("own", {"nan_rate": "0.5"}) is not first
    register("env", "own", walk.make)
    made.clear()
    make_env("own", {"nan_rate": "0.5"})
    assert not made


def test_nested_spaces_fit_in_the_wrappers_that_flatten_them():
    """What is checked is what is learned in; without the wrapper the environment is refused, see `ENVS`."""
    show = lambda obs: {"place": obs[:1], "time": obs[1:]}

    def reset(key, params):
        obs, state = SOUND.reset(key, params)
        return show(obs), state

    def step(key, state, action, params):
        out = SOUND.step(key, state, action["first"] ^ action["second"], params)
        return out._replace(obs=show(out.obs))

    spaces = {"place": Box(-2.0, 2.0, (1,)), "time": Box(-2.0, 2.0, (1,))}
    choices = {"first": Discrete(2), "second": Discrete(2)}
    nested = dataclasses.replace(
        SOUND, reset=reset, step=step, observation_space=spaces, action_space=choices
    )
    register("env", "own", lambda: nested)
    env = make_env("own", {"wrappers": "flatten_observations+flatten_actions"})
    assert (env.observation_space.shape, env.action_space) == ((2,), Discrete(4))
    with pytest.raises(ValueError, match="action_space is a nesting of spaces; see flatten_actions"):
        make_env("own", {"wrappers": "flatten_observations"})
    with pytest.raises(ValueError, match="frame_stack needs a Box, see flatten_observations"):
        make_env("own", {"wrappers": "frame_stack"})
    broken = dataclasses.replace(nested, reset=lambda key: None)
    register("env", "own", lambda: broken)
    with pytest.raises(ValueError, match="environment 'own': its wrappers failed with TypeError"):
        make_env("own", {"wrappers": "flatten_observations"})


def test_options_that_no_file_can_hold_are_refused():
    with pytest.raises(
        ValueError, match="env_options is {'nan_rate': .*}, which a run cannot record: .*no JSON form"
    ):
        make_env(walk.NAME, {"nan_rate": object()})


def test_settings_that_only_the_algorithms_own_objective_reads_are_told():
    usual = TrainConfig.preset("ppo", "CartPole-v1", objective="lpo")
    changed = TrainConfig.preset("ppo", "CartPole-v1", objective="lpo", learner={"clip_value": False})
    with pytest.warns(
        Notice, match="learner.clip_value is False, which objective 'lpo' does not read"
    ) as told:
        warn_of_unread(changed)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unread(usual)
        warn_of_unread(dataclasses.replace(changed, objective=""))


def test_settings_that_learned_targets_do_not_read_are_told():
    changed = TrainConfig.preset(
        "ppo", "CartPole-v1", objective="lpg", hp={"entropy_coef": 0.3, "gamma": 0.9}
    )
    with pytest.warns(Notice, match="hp.entropy_coef is 0.3, which objective 'lpg' does not read") as told:
        warn_of_unread(changed)
    assert len(told) == 1


def test_options_of_no_curriculum_are_refused(tmp_path):
    with pytest.raises(ValueError, match="curriculum_options is .*there is no curriculum to take them"):
        train(walk.config(curriculum_options={"arms": "3"}), tmp_path / "a")


def deaf(env, num_envs, rollout_length, config, hp, objective=None):
    """A learner that takes an objective, a memory and any network, and reads none of them."""
    plain = dataclasses.replace(config, network=type(config.network)(hidden=(8,)))
    return ppo(env, num_envs, rollout_length, plain, hp)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"objective": "lpo"}, "objective is 'lpo', which algorithm 'own' does not read: leave it out"),
        ({"objective": "disco"}, "objective is 'disco', which algorithm 'own' does not read"),
        ({"memory": "gru"}, "learner.network.memory is 'gru', which algorithm 'own' does not read"),
        ({"kind": "own net"}, "learner.network.kind is 'own net', which algorithm 'own' does not read"),
    ],
)
def test_what_a_learner_ignores_is_not_recorded_as_used(changes, said, tmp_path):
    register("network", "own net", lambda *given: None)
    learner = walk.config().learner
    network = dataclasses.replace(learner.network, **{k: v for k, v in changes.items() if k != "objective"})
    rest = {k: v for k, v in changes.items() if k == "objective"}
    found = refusal(
        "algorithm",
        PPO._replace(make=deaf),
        tmp_path,
        learner=dataclasses.replace(learner, network=network),
        **rest,
    )
    assert said in found


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "lpg", "disco", "dqn"])
@pytest.mark.parametrize("objective", ["ppo-clip", "own ppo", "own lpg", "disco"])
def test_every_algorithm_reads_the_objective_or_refuses_it(algorithm, objective):
    register("objective", "own ppo", loss_of(lambda x, m: (x, m)))
    register("objective", "own lpg", lpg)
    preset = type(walk.config()).preset(algorithm, walk.NAME, steps=64, objective=objective)
    reads = {"ppo": ("ppo", "lpg"), "a2c": ("ppo", "lpg"), "lpg": ("lpg",), "disco": ("disco",), "dqn": ()}
    if any(word in objective for word in reads[algorithm]):
        build(preset)
    else:
        with pytest.raises(ValueError, match="^objective is"):
            build(preset)


def test_sound_parts_of_ones_own_pass_and_train(tmp_path):
    register("algorithm", "own", PPO)
    register("objective", "own", lambda: find_objective("ppo-clip"))
    register("env", "own", walk.make)
    config = dataclasses.replace(walk.config(updates=2, rows=1), algorithm="own", objective="own", env="own")
    ours = train(walk.config(updates=2, rows=1))
    assert train(config, tmp_path / "run").eval_return == ours.eval_return


def test_a_run_that_fails_before_it_writes_leaves_nothing(tmp_path, monkeypatch):
    config = walk.config(updates=2, rows=1)
    there = tmp_path / "there"
    there.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(training, "compile_programs", lambda *given: fails())
        for out in (tmp_path / "deep" / "new", there):
            with pytest.raises(KeyError):
                train(config, out)
        assert not (tmp_path / "deep").exists() and not list(there.iterdir())
        (there / "notes.txt").write_text("mine")
        with pytest.raises(FolderError, match="not empty"):
            train(config, there)
        assert [path.name for path in there.iterdir()] == ["notes.txt"]
    out = tmp_path / "deep" / "new"
    with monkeypatch.context() as patch:  # what is written stays
        patch.setattr(training, "summarise", lambda *given, **counted: fails())
        with pytest.raises(KeyError):
            train(config, out)
    assert len(read_jsonl(out / "metrics.jsonl")) == 1 and list((out / "checkpoints").iterdir())
    assert len(train(config, out, overwrite=True).rows) == 1
    before = sorted(path.name for path in out.iterdir())
    (out / "result.json").unlink()
    with monkeypatch.context() as patch:  # nor does a resumed run that fails take anything away
        patch.setattr(training, "compile_programs", lambda *given: fails())
        with pytest.raises(KeyError):
            train(config, out, resume=True)
    assert sorted([path.name for path in out.iterdir()] + ["result.json"]) == before
    there = contents(out)
    with monkeypatch.context() as patch:  # what it should have overwritten is there again
        patch.setattr(training, "compile_programs", lambda *given: fails())
        with pytest.raises(KeyError):
            train(config, out, overwrite=True)
        assert contents(out) == there
        patch.setitem(sys.modules, "wandb", None)  # which is found before anything is compiled
        tracked = dataclasses.replace(config, sinks=SinkConfig(wandb="offline"))
        for run, place in ((train, out), (partial(sweep, grid=["hp.clip=0.1"]), tmp_path / "swept")):
            with pytest.raises(SinkError, match="wandb is not installed"):
                run(tracked, place, overwrite=True)
        assert contents(out) == there and not (tmp_path / "swept").exists()
    train(dataclasses.replace(config, seed=1), out, overwrite=True)
    assert json.loads((out / "config.json").read_text())["seed"] == 1 and not (out / ASIDE).exists()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def lost(what, when, tmp_path):
    """The sentence of a run in an environment that spoils something at a step of its episodes."""

    def step(key, state, action, params):
        out = SOUND.step(key, state, action, params)
        value = getattr(out, what)
        spoiled = jnp.where(out.state.time == when, jnp.nan, value)
        return out._replace(**{what: spoiled.astype(value.dtype)})

    register("env", "own", lambda: dataclasses.replace(SOUND, step=step))
    said = []
    for resume in (False, True):
        with pytest.raises(Diverged) as caught:
            train(
                dataclasses.replace(walk.config(updates=2, rows=1), env="own"),
                tmp_path / "run",
                resume=resume,
            )
        said.append(str(caught.value))
    assert said[0] == said[1]
    return said[0]


@pytest.mark.parametrize(("what", "name"), [("obs", "observations"), ("reward", "rewards")])
def test_numbers_of_the_environment_that_are_not_finite_are_told_as_its_own(what, name, tmp_path):
    # At step 5 of 8: where a rollout ends nothing of it is left.
    assert f"after at most 0 steps, because the environment gives {name} that are not finite" in lost(
        what, 5, tmp_path
    )


def test_the_environment_is_not_blamed_for_what_is_not_its_doing():
    hp = dataclasses.replace(walk.config().hp, learning_rate=1e38)
    with pytest.raises(Diverged) as caught:
        train(dataclasses.replace(walk.config(updates=2, rows=1), hp=hp))
    assert "because" not in str(caught.value)


def test_a_run_that_ends_before_its_warm_up_is_told_of():
    config = walk.config("dqn", learner={"warm_up": 640})
    with pytest.warns(
        Notice, match=r"learner.warm_up is 640 and steps is 640: the run ends before anything is learned"
    ):
        warn_of_warm_up(config)
    with warnings.catch_warnings(action="error"):
        warn_of_warm_up(walk.config("dqn", learner={"warm_up": 639}))
        warn_of_warm_up(walk.config())


def test_pixels_that_are_read_as_a_list_are_told_of():
    screen, board = Box(0.0, 1.0, (32, 64, 4), "bool"), Box(0.0, 1.0, (10, 10, 4))
    flat = TrainConfig.preset("ppo", "octax/pong", steps=1_000)
    message = "32x64 pixels, and learner.network.encoder is 'flat', which reads them as 8,192 numbers .*: 'minatar' or 'atari' reads images"
    with pytest.warns(Notice, match=message):
        warn_of_pixels(flat, screen)
    with warnings.catch_warnings(action="error"):
        warn_of_pixels(flat, board)
        for name in ("pqn", "dqn", "spr"):
            warn_of_pixels(TrainConfig.preset(name, "octax/pong", steps=1_000), screen)


def test_more_steps_of_a_return_than_a_window_holds_are_refused_in_runs_and_sweeps():
    """Where the learner is made for a run, its numbers are arrays."""
    message = r"hp.steps is 7.0; it must be at most learner.longest \(2\)"
    with pytest.raises(ValueError, match=message):
        build(walk.config("dqn", learner={"longest": 2}, hp={"steps": 7.0}))
    with pytest.raises(ValueError, match=message):
        plan(walk.config("dqn", learner={"longest": 2}), ["hp.steps=1,7"])
    with pytest.raises(ValueError, match="hp.steps_start is 3"):
        build(walk.config("dqn", learner={"longest": 2}, hp={"steps_start": 3.0, "anneal": 5.0}))
    assert build(walk.config("dqn", learner={"longest": 2}, hp={"steps": 2.0}))
