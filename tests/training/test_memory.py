"""What a run needs at least, and the sentence where it is more than there is; what fits is never refused."""

import re
import types

import jax
import numpy as np
import pytest
import walk

from jaxrl_evolve import random
from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.experiment import build_meta
from jaxrl_evolve.training import memory
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import build, traced
from jaxrl_evolve.training.groups import groups_of
from jaxrl_evolve.training.train import train


def need(config):
    experiment = build(config)
    start = (random.key(0), traced(config.hp), experiment.env.params)
    return memory.need_of(config, jax.eval_shape(experiment.chunk.init, *start), experiment.env)


def test_what_is_counted():
    small, large = (need(walk.config("dqn", num_envs=n, learner={"capacity": 6400})) for n in (4, 160))
    # Two float32 numbers of observation, an int32 action and a float32 reward.
    assert large.rollout == 16 * 160 * (8 + 4 + 4)
    # Place, time, observation twice a float32, episode's return and length, and two flags.
    assert (large.state - small.state) == 156 * (2 * 4 + 2 * 4 + 2 * 4 + 2)
    # Observation, action, reward, how the step ended, the number of a successor that was cut off, and a few of those.
    assert 6400 * (8 + 4 + 4 + 4) <= small.store <= 6400 * (8 + 4 + 4 + 4 + 8 / 32) + 64
    with_ppo = walk.config()
    assert need(with_ppo).store == 0


@pytest.mark.parametrize(
    ("algorithm", "changes", "message"),
    [
        (
            "ppo",
            {"num_envs": 10**8, "rollout_length": 16},
            "num_envs is 100,000,000 and rollout_length 16: 1 run takes ",
        ),
        ("dqn", {"learner": {"capacity": 2 * 10**9}}, "learner.capacity is 2,000,000,000: 1 run takes "),
        (
            "ppo",
            {"learner": {"network": {"hidden": (10**5, 10**5)}}},
            r"learner.network is NetworkConfig\(encoder='flat', hidden=\(100000, 100000\), .*: 1 run takes ",
        ),
        ("ppo", {"seeds": 10**7}, "seeds is 10,000,000 and group 0: 10,000,000 runs take "),
    ],
)
def test_too_much_is_one_sentence_before_anything_compiles(
    algorithm, changes, message, tmp_path, monkeypatch
):
    monkeypatch.setattr(memory, "available_bytes", lambda: 8 * 2**30)
    config = walk.config(algorithm, **changes)
    walk.forget()
    with pytest.raises(ValueError, match=message) as caught:
        train(config, tmp_path / "run")
    assert "and there are 8 GiB of memory" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_what_fits_by_a_byte_passes(monkeypatch):
    config = walk.config(seeds=3)
    experiment, groups = build(config), groups_of(config, None)
    sizes = need(config)
    total = 3 * sizes.state + 3 * sizes.rollout
    monkeypatch.setattr(memory, "available_bytes", lambda: total)
    memory.check_memory(config, experiment, groups)
    monkeypatch.setattr(memory, "available_bytes", lambda: total - 1)
    with pytest.raises(ValueError, match="seeds is 3"):
        memory.check_memory(config, experiment, groups)
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    memory.check_memory(config, experiment, groups)


def test_a_host_is_asked_for_its_share_of_the_runs(monkeypatch):
    """Two hosts of two devices each, which have as much memory as half of the runs take."""
    config = walk.config(seeds=8)
    experiment, groups, sizes = build(config), groups_of(config, None), need(config)
    devices = np.array([types.SimpleNamespace(process_index=i // 2, id=i) for i in range(4)])
    mesh = types.SimpleNamespace(size=4, devices=devices)
    monkeypatch.setattr(memory, "mesh_for", lambda *_: mesh)
    monkeypatch.setattr(memory, "available_bytes", lambda: 4 * sizes.state + 4 * sizes.rollout)
    memory.check_memory(config, experiment, groups)
    monkeypatch.setattr(memory, "available_bytes", lambda: 4 * sizes.state + 4 * sizes.rollout - 1)
    with pytest.raises(ValueError, match="seeds is 8 .*: 4 runs take .*, in which at most 3 fit, 6 in all$"):
        memory.check_memory(config, experiment, groups)


def test_meta_trainings_are_told_of_one_agent(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**30)
    with pytest.raises(ValueError, match="num_envs is 10,000,000 and rollout_length 20: 1 run takes "):
        build_meta(MetaTrainConfig.preset("lpg", "chain/delayed-short", num_envs=10**7))


def test_the_memory_of_this_machine():
    there = memory.available_bytes()
    assert there is not None and 2**28 < there < 2**50


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"num_envs": 10**8},
            "num_envs is 100,000,000 and rollout_length 128; their product must be below 2",
        ),
        ({"steps": 10**13}, "steps is 10,000,000,000,000, which are 19,531,250,000 updates of 512 steps"),
    ],
)
def test_what_int32_cannot_count_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig.preset("ppo", "CartPole-v1", **changes)


@pytest.mark.parametrize(
    ("algorithm", "field", "changes", "told"),
    [
        ("ppo", "seeds", {"seeds": 10**6}, r"in which at most ([\d,]+) fit$"),
        (
            "dqn",
            "capacity",
            {"learner": {"capacity": 10**9}, "seeds": 2},
            r"in which a capacity of at most ([\d,]+) fits$",
        ),
        ("ppo", "num_envs", {"num_envs": 10**6}, r"in which a num_envs of at most ([\d,]+) fits$"),
    ],
)
def test_what_would_fit_is_told_and_does(algorithm, field, changes, told, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**28)

    def check(**changes):
        config = walk.config(algorithm, **changes)
        memory.check_memory(config, build(config), groups_of(config, None))

    with pytest.raises(ValueError, match=told) as caught:
        check(**changes)
    found = re.search(told, str(caught.value))
    assert found is not None
    most = int(found[1].replace(",", ""))
    inside = lambda value: {
        **changes,
        **({"learner": {field: value}} if field == "capacity" else {field: value}),
    }
    check(**inside(most))
    with pytest.raises(ValueError, match="in which at most|in which a"):
        check(**inside(most + max(1, most // 1_000)))
