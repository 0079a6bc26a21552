"""How fields are spelled, and what text and JSON mean for them."""

from __future__ import annotations

import re

import pytest

from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.settings.fields import parse_field, whole_number
from jaxrl_evolve.settings.grids import parse_grid
from jaxrl_evolve.settings.names import suggestion
from jaxrl_evolve.training.config import TrainConfig

CONFIG = TrainConfig.preset("ppo", "CartPole-v1", env_options={"a-b": "1"})


@pytest.mark.parametrize(
    ("text", "number"),
    [("250_000", 250_000), ("1e6", 10**6), ("2.5e3", 2_500), ("-3", -3), ("1E2", 100), ("4.0", 4)],
)
def test_whole_numbers_as_people_write_them(text, number):
    assert whole_number(text) == number and type(whole_number(text)) is int
    assert parse_field(CONFIG, "steps", text) == number


@pytest.mark.parametrize("text", ["1.5", "1e-1", "inf", "nan", "many", "", "1e999999999", "0x10"])
def test_what_is_no_whole_number(text):
    with pytest.raises(
        ValueError, match=f"^{re.escape(repr(text))} is no whole number, such as 250_000 or 1e6"
    ):
        whole_number(text)
    with pytest.raises(ValueError, match=f"^num_envs is {re.escape(repr(text))}; it must be a whole number"):
        parse_field(CONFIG, "num-envs", text)


def test_a_number_without_the_brackets_of_its_tuple_is_shown_with_them():
    point = "learner.network.hidden"
    with pytest.raises(
        ValueError, match=re.escape("hidden is '8'; it must be a tuple such as (8,) or (8, 8)")
    ):
        parse_grid(CONFIG, [f"{point}=8,16"], lambda name: None)
    assert parse_grid(CONFIG, [f"{point}=(8,),(16,)"], lambda name: None) == {point: [(8,), (16,)]}
    with pytest.raises(ValueError, match=re.escape("a tuple such as (64,) or (64, 64)")):
        parse_field(CONFIG, point, "wide")


def test_hyphens_mean_underscores_at_every_entrance():
    grid = parse_grid(
        CONFIG, ["hp.learning-rate=1e-3,2", "learner.network.memory-size=1e2"], lambda name: None
    )
    assert grid == {"hp.learning_rate": [1e-3, 2.0], "learner.network.memory_size": [100]}
    assert (
        TrainConfig.preset("ppo", "CartPole-v1", **{"num-envs": 8}, hp={"gae-lambda": 0.5}).hp.gae_lambda
        == 0.5
    )
    data = CONFIG.to_json()
    data |= {"num-envs": data.pop("num_envs"), "steps": 2e6}
    found = TrainConfig.from_json(data)
    assert (found.num_envs, found.steps, type(found.steps)) == (CONFIG.num_envs, 2_000_000, int)
    # An entry's name is the environment's to spell.
    assert list(parse_grid(CONFIG, ["env_options.a-b=2"], lambda name: None)) == ["env_options.a-b"]
    with pytest.raises(ValueError, match="grid names num_envs twice"):
        parse_grid(CONFIG, ["num-envs=1", "num_envs=2"], lambda name: None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: TrainConfig.preset("ppo", "CartPole-v1", learning_rate=1),
            "there is no field 'learning_rate': did you mean hp.learning_rate?",
        ),
        (
            lambda: TrainConfig.preset("ppo", "CartPole-v1", ent_coef=1),
            "there is no field 'ent_coef': did you mean hp.entropy_coef?",
        ),
        (
            lambda: TrainConfig.preset("ppo", "CartPole-v1", hp={"lr": 1}),
            "hp has no field 'lr': did you mean learning_rate?",
        ),
        (
            lambda: TrainConfig.preset("ppo", "CartPole-v1", learner={"learning-rate": 1}),
            "learner has no field 'learning-rate'",
        ),
        (
            lambda: parse_field(CONFIG, "gae-lambda", "1"),
            "there is no field 'gae-lambda': did you mean hp.gae_lambda?",
        ),
        (
            lambda: parse_field(CONFIG, "learner.learning_rate", "1"),
            "learner has no field 'learning_rate': did you mean hp.learning_rate?",
        ),
        (
            lambda: parse_field(CONFIG, "hidden", "(8,)"),
            "there is no field 'hidden': did you mean learner.network.hidden?",
        ),
        (
            lambda: TrainConfig.from_json(CONFIG.to_json() | {"hiden": [8]}),
            "there is no field 'hiden': did you mean learner.network.hidden",
        ),
        (
            lambda: TrainConfig.from_json({"algorithm": "ppo", "learner": {"network": {"hidden": [8]}}}),
            "env, steps, num_envs, rollout_length, resets and hp are missing",
        ),
        (
            lambda: TrainConfig.preset(
                "ppo", "x", learner={"network": {"encoder": "tabular", "memory": "gru"}}
            ),
            "learner.network.memory is 'gru'; a table has none",
        ),
        (
            lambda: TrainConfig.preset("dqn", "x", learner={"capacity": 10}),
            "learner.capacity is 10; it must be at least batch",
        ),
        (
            lambda: MetaTrainConfig.preset("lpg", "x", sigma=1),
            "there is no field 'sigma': did you mean evolution.sigma?",
        ),
        (
            lambda: MetaTrainConfig.preset("lpg", "x", settings={"width": 0}),
            "settings.width is 0; it must be a whole number of at least 1",
        ),
        (
            lambda: MetaTrainConfig.preset("lpg", "x", gradient={"gamma": 2.0}),
            "gradient.gamma is 2.0; it must be a number between 0 and 1",
        ),
        (
            lambda: MetaTrainConfig.preset("lpg", "x", evolution={"beta1": -1.0}),
            "evolution.beta1 is -1.0; it must be a number between 0 and 1",
        ),
        (
            lambda: MetaTrainConfig.preset("lpg", "x", fitness={"episodes": 0}),
            "fitness.episodes is 0; it must be a whole number of at least 1",
        ),
    ],
)
def test_what_is_wrong_is_said_of_the_field_and_with_the_one_that_is_meant(call, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)) as caught:
        call()
    assert "\n" not in str(caught.value) and "Config" not in str(caught.value)


def test_names_nearby_come_before_names_further_inside():
    assert suggestion("gama", ["gamma"], inside=["a.gama_x"]) == "did you mean gamma?"
    assert suggestion("x", ["gamma"], "it has", ["a.y"]) == "it has gamma"
