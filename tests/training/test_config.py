"""Configurations: presets, changes, JSON and back, and refusals that name the field."""

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest

from jaxrl_evolve.algorithms.ppo import PPO_PRESETS
from jaxrl_evolve.algorithms.table import BUILTIN_ALGORITHMS
from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta_test.config import MetaTestConfig
from jaxrl_evolve.settings.fields import parse_field
from jaxrl_evolve.settings.nested import update
from jaxrl_evolve.storage.folder import plain
from jaxrl_evolve.training.config import EvaluationConfig, TrainConfig

ENVS = [
    "CartPole-v1",
    "Breakout-MinAtar",
    "brax/ant",
    "craftax/Craftax-Classic-Symbolic-v1",
    "craftax/Craftax-Classic-Pixels-v1",
    "MemoryChain-bsuite",
    "somebody/Else-v3",
]


@pytest.mark.parametrize("algorithm", BUILTIN_ALGORITHMS)
@pytest.mark.parametrize("env", ENVS)
def test_every_preset_survives_json(algorithm, env):
    config = TrainConfig.preset(algorithm, env, seeds=3, env_options={"backend": "mjx"})
    there = json.loads(json.dumps(plain(config), allow_nan=False))
    back = TrainConfig.from_json(there)
    assert back == config and isinstance(getattr(back.learner, "network", back.learner).hidden, tuple)
    assert plain(back) == there


def test_what_a_later_version_added_is_written_only_where_it_says_something():
    # Else runs of earlier versions would not be taken for the same, and not go on.
    network = {
        name: plain(TrainConfig.preset(name, "CartPole-v1"))["learner"]["network"]
        for name in ("ppo", "disco")
    }
    assert not [name for name, fields in network.items() if "kind" in fields]
    config = TrainConfig.preset("a2c", "CartPole-v1", learner={"network": {"kind": "mine"}})
    assert (
        plain(config)["learner"]["network"]["kind"] == "mine"
        and TrainConfig.from_json(plain(config)) == config
    )


def test_a_gradient_that_is_not_clipped_survives_json():
    config = TrainConfig.preset("ppo", "CartPole-v1", hp={"max_grad_norm": math.inf})
    assert TrainConfig.from_json(json.loads(json.dumps(plain(config), allow_nan=False))) == config


def test_presets_are_found_by_the_longest_pattern(monkeypatch):
    some, more = (dataclasses.replace(PPO_PRESETS["*"], num_envs=n) for n in (3, 5))
    monkeypatch.setitem(PPO_PRESETS, "tiny/*", some)
    monkeypatch.setitem(PPO_PRESETS, "tiny/*-Pixels-*", more)
    preset = BUILTIN_ALGORITHMS["ppo"].preset
    assert preset("tiny/Walk") is some and preset("tiny/Walk-Pixels-v1") is more
    assert preset("anything") is PPO_PRESETS["*"]
    assert preset("gymnax/Breakout-MinAtar") is preset("Breakout-MinAtar") is not PPO_PRESETS["*"]


def test_changes_go_into_nested_fields_and_leave_the_others():
    base = TrainConfig.preset("ppo", "CartPole-v1")
    changed = TrainConfig.preset(
        "ppo",
        "CartPole-v1",
        steps=10_000,
        hp={"learning_rate": 1e-3},
        learner={"network": {"hidden": (8, 8)}, "epochs": 2},
    )
    assert changed.hp == dataclasses.replace(base.hp, learning_rate=1e-3)
    assert changed.learner.network.hidden == (8, 8) and changed.learner.epochs == 2
    assert changed.learner.minibatches == base.learner.minibatches
    assert changed.learner.network.activation == base.learner.network.activation
    whole = TrainConfig.preset("ppo", "CartPole-v1", hp=changed.hp)
    assert whole.hp is changed.hp


def test_a_field_has_one_dotted_name_in_python_and_files():
    nested = {
        "hp": {"learning_rate": 1e-3, "clip": 0.1},
        "learner": {"network": {"hidden": (8,)}, "epochs": 2},
        "env_options": {"a": "1"},
    }
    mixed = {
        "hp.learning-rate": 1e-3,
        "hp": {"clip": 0.1},
        "learner.network.hidden": (8,),
        "learner": {"epochs": 2},
        "env_options.a": "1",
    }
    config = TrainConfig.preset("ppo", "CartPole-v1", **nested)
    assert TrainConfig.preset("ppo", "CartPole-v1", **mixed) == config
    data = config.to_json()
    del data["hp"]["clip"], data["learner"]["network"]["hidden"]
    assert TrainConfig.from_json(data | {"hp.clip": 0.1, "learner.network.hidden": [8]}) == config
    meta = MetaTrainConfig.preset("lpg", "grid/random-small", **{"evolution.sigma": 0.2})
    assert meta == MetaTrainConfig.preset("lpg", "grid/random-small", evolution={"sigma": 0.2})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"hp.clip": 0.1, "hp": {"clip": 0.2}},
            "hp.clip is given twice, by its dotted name and within hp",
        ),
        ({"hp.clip": 0.1, "hp": PPO_PRESETS["*"].hp}, "hp is given as a whole, and hp.clip besides"),
        ({"hp.clipp": 0.1}, "hp has no field 'clipp': did you mean clip"),
        ({"hq.clip": 0.1}, "there is no field 'hq'"),
    ],
)
def test_dotted_names_that_clash_or_do_not_exist_are_refused(changes: Any, message: str):
    with pytest.raises(ValueError, match=f"^{message}"):
        TrainConfig.preset("ppo", "CartPole-v1", **changes)


def test_whole_numbers_may_be_written_as_the_command_takes_them():
    few = {"steps": 1e5, "seed": np.uint32(7), "evaluation": {"episodes": 8.0}}
    config = TrainConfig.preset("ppo", "CartPole-v1", learner={"network": {"hidden": (8.0,)}}, **few)
    whole = {"steps": 100_000, "seed": 7, "evaluation": {"episodes": 8}}
    same = TrainConfig.preset("ppo", "CartPole-v1", learner={"network": {"hidden": (8,)}}, **whole)
    assert json.dumps(config.to_json()) == json.dumps(same.to_json())
    meta = MetaTrainConfig.preset(
        "lpg",
        "grid/random-small",
        generations=1e1,
        evolution={"population": 8.0},
        gradient={"lifetimes": 4.0},
    )
    assert type(meta.generations) is type(meta.evolution.population) is type(meta.gradient.lifetimes) is int
    assert [type(horizon) for horizon in MetaTestConfig(horizons=(1e1,)).horizons] == [int]  # type: ignore[arg-type]


def test_steps_are_rounded_up_to_whole_updates():
    for steps in (1, 511, 512, 513, 100_000):
        config = TrainConfig.preset("ppo", "CartPole-v1", steps=steps)  # 4 environments, 128 steps
        assert config.updates == math.ceil(steps / 512)
        assert config.env_steps == config.updates * 512


BAD = {
    "no algorithm": (("pppo", "CartPole-v1", {}), "algorithm is 'pppo'.*did you mean ppo"),
    "no field": (("ppo", "CartPole-v1", {"step": 1}), "no field 'step': did you mean steps"),
    "no hp": (
        ("ppo", "CartPole-v1", {"hp": {"learningrate": 1}}),
        "hp has no field 'learningrate': did you mean learning_rate",
    ),
    "no nested field": (
        ("ppo", "CartPole-v1", {"learner": {"network": {"width": 3}}}),
        "learner.network has no field 'width'",
    ),
    "negative steps": (
        ("ppo", "CartPole-v1", {"steps": -5}),
        "steps is -5; it must be a whole number of at least 1",
    ),
    "no environments": (("ppo", "CartPole-v1", {"num_envs": 0}), "num_envs is 0"),
    "no seeds": (("ppo", "CartPole-v1", {"seeds": 0}), "seeds is 0"),
    "half a step": (("ppo", "CartPole-v1", {"steps": 1.5}), "steps is 1.5; it must be a whole number"),
    "a switch": (("ppo", "CartPole-v1", {"seeds": True}), "seeds is True; it must be a whole number"),
    "negative seed": (
        ("ppo", "CartPole-v1", {"seed": -1}),
        "seed is -1; it must be a whole number of at least 0",
    ),
    "text": (("ppo", "CartPole-v1", {"hp": {"clip": "much"}}), "hp.clip is 'much'; it must be a number"),
    "nan": (("ppo", "CartPole-v1", {"hp": {"clip": math.nan}}), "hp.clip is nan"),
    "negative rate": (
        ("ppo", "CartPole-v1", {"hp": {"learning_rate": -1.0}}),
        "hp.learning_rate is -1.0; it must be a number of at least 0",
    ),
    "gamma": (("ppo", "CartPole-v1", {"hp": {"gamma": 1.5}}), "hp.gamma is 1.5.*between 0 and 1"),
    "no penalty": (
        ("ppo", "CartPole-v1", {"hp": {"entropy_coef": -1.0}}),
        "hp.entropy_coef is -1.0; it must be a number of at least 0",
    ),
    "endless": (
        ("disco", "Catch-bsuite", {"hp": {"prediction_coef": math.inf}}),
        "hp.prediction_coef is inf",
    ),
    "encoder": (
        ("a2c", "CartPole-v1", {"learner": {"network": {"encoder": "flatt"}}}),
        "learner.network.encoder is 'flatt', which is not known: did you mean flat",
    ),
    "episodes": (
        ("ppo", "CartPole-v1", {"evaluation": EvaluationConfig(episodes=0)}),
        "evaluation.episodes is 0",
    ),
    "epochs": (("ppo", "CartPole-v1", {"learner": {"epochs": 0}}), "learner.epochs is 0"),
    "widths": (
        ("ppo", "CartPole-v1", {"learner": {"network": {"hidden": ()}}}),
        r"learner.network.hidden is \(\)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_are_refused_by_name(name):
    (algorithm, env, changes), message = BAD[name]
    with pytest.raises(ValueError, match=message) as caught:
        TrainConfig.preset(algorithm, env, **changes)
    assert "\n" not in str(caught.value)


def test_json_that_is_no_configuration_is_refused():
    good = plain(TrainConfig.preset("ppo", "CartPole-v1"))
    for change, message in [
        ({"algorithm": None}, "algorithm is missing"),
        ({"algorithm": "ppq"}, "algorithm is 'ppq'"),
        ({"stepz": 3}, "no field 'stepz': did you mean steps"),
        ({"hp": good["hp"] | {"speed": 1}}, "^hp has no field 'speed'"),
        ({"steps": -3}, "steps is -3"),
    ]:
        with pytest.raises(ValueError, match=message):
            TrainConfig.from_json(good | change)
    del good["env"]
    with pytest.raises(ValueError, match="^env is missing"):
        TrainConfig.from_json(good)


def test_fields_are_read_from_text_as_their_type_says():
    config = TrainConfig.preset("ppo", "CartPole-v1", env_options={"a": "1"})
    for name, text, value in [
        ("num_envs", "16", 16),
        ("hp.learning_rate", "1e-3", 1e-3),
        ("hp.clip", "1", 1.0),
        ("learner.normalise_advantage", "false", False),
        ("learner.shuffle", "envs", "envs"),
        ("learner.network.hidden", "(32, 16)", (32, 16)),
        ("learner.network.hidden", "[8]", (8,)),
        ("env_options.backend", "mjx", "mjx"),
    ]:
        found = parse_field(config, name, text)
        assert found == value and type(found) is type(value)
        changed = update(config, {name: found})
        assert changed != config or name == "learner.normalise_advantage"
    assert update(config, {"env_options.b": "2"}).env_options == {"a": "1", "b": "2"}
    nested = update(config, {"learner.network.hidden": (9,), "learner.epochs": 7, "hp.clip": 0.3})
    assert (nested.learner.network.hidden, nested.learner.epochs, nested.hp.clip) == ((9,), 7, 0.3)
    assert nested.learner.minibatches == config.learner.minibatches


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("num_env", "4", "no field 'num_env': did you mean num_envs"),
        ("hp.learning", "4", "hp has no field 'learning': did you mean learning_rate"),
        ("hp", "4", "hp has fields of its own"),
        ("hp.clip.x", "4", "hp.clip has no fields"),
        ("num_envs", "4.5", "num_envs is '4.5'; it must be a whole number"),
        ("hp.clip", "wide", "hp.clip is 'wide'; it must be a number"),
        ("learner.normalise_advantage", "yes", "must be True or False"),
        ("learner.shuffle", "cards", "must be one of auto, blocks, samples, envs"),
        ("learner.network.hidden", "64", "must be a tuple"),
        ("learner.network.hidden", "(1.5,)", "must be a tuple"),
    ],
)
def test_text_that_is_no_value_is_refused(name, text, message):
    with pytest.raises(ValueError, match=message):
        parse_field(TrainConfig.preset("ppo", "CartPole-v1"), name, text)


@pytest.mark.parametrize("seed", [2**32, 2**32 + 7, 2**63])
def test_seeds_that_would_be_those_of_another_run_are_refused(seed: int):
    for make in (
        lambda: TrainConfig.preset("ppo", "CartPole-v1", seed=seed),
        lambda: MetaTrainConfig.preset("lpg", "grid/random-small", seed=seed),
        lambda: MetaTestConfig(seed=seed),
    ):
        with pytest.raises(
            ValueError, match=f"seed is {seed}; it must be a whole number from 0 to 4294967295"
        ):
            make()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learner": {"optimiser": "rmsprop"}}, "learner.optimiser is 'rmsprop', which is not known"),
        ({"fitness": {"episodes": 2.5}}, "fitness.episodes is 2.5; it must be a whole number"),
        (
            {"sinks": {"wandb": "Offline"}},
            "sinks.wandb is 'Offline', which is not known: did you mean offline",
        ),
    ],
)
def test_settings_of_a_meta_training_are_checked_in_python_too(changes: Any, message: str):
    with pytest.raises(ValueError, match=message):
        MetaTrainConfig.preset("lpg", "grid/random-small", **changes)
