"""Axes of runs: vmapped, in lanes, sharded over devices and processes, always the same numbers."""

import functools
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from processes import address, ended, needs_an_address, starting

from jaxrl_evolve import random
from jaxrl_evolve.runs.axes import RunAxis, device_mesh, mesh_for, over_runs, place
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import build, traced

CONFIG = TrainConfig.preset(
    "ppo",
    "CartPole-v1",
    num_envs=4,
    rollout_length=8,
    learner={"network": {"hidden": (8, 8)}, "minibatches": 2, "epochs": 2},
)
EXPERIMENT = build(CONFIG)
UPDATES = jnp.int32(3)


def leaves(tree):
    return [np.asarray(jax.random.key_data(x)) if is_key(x) else np.asarray(x) for x in jax.tree.leaves(tree)]


def is_key(x):
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


@functools.cache
def programs(axes, mesh):
    """Start and run, compiled once for all runs along the same axes."""
    chunk = over_runs(EXPERIMENT.chunk, axes, mesh)
    return jax.jit(chunk.init), jax.jit(chunk.run)


def run(axes, keys, hp, params, mesh=None):
    init, go = programs(tuple(axes), mesh)
    names = [axis.name if mesh is not None and axis.name in mesh.shape else None for axis in axes]

    def put(x, field):
        own = [n for n, axis in zip(names, axes, strict=True) if not field or getattr(axis, field)]
        return x if mesh is None else place(x, mesh, *own)

    hp, params = put(hp, "hp"), put(params, "env_params")
    fixed = lambda x: x if mesh is None else place(x, mesh)
    state = init(put(keys, ""), hp, params)
    return go(state, hp, (), params, fixed(jnp.float32(10)), fixed(UPDATES))


def same(a, b, exact=True):
    for x, y in zip(leaves(a), leaves(b), strict=True):
        if exact:
            np.testing.assert_array_equal(x, y)
        else:
            np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-5)


def seeds(count):
    return jax.random.split(random.key(3), count)


@pytest.fixture(scope="module")
def one_by_one():
    hp = traced(CONFIG.hp)
    outs = [run([], key, hp, EXPERIMENT.env.params) for key in seeds(8)]
    return jax.tree.map(lambda *x: jnp.stack(x), *outs)


@pytest.mark.parametrize("lanes", [0, 1, 3])
@pytest.mark.core("0")
def test_many_runs_are_the_runs_one_by_one(lanes, one_by_one):
    out = run([RunAxis("seed", 8, lanes=lanes)], seeds(8), traced(CONFIG.hp), EXPERIMENT.env.params)
    same(out, one_by_one, exact=False)  # sums are grouped otherwise in another program


@pytest.mark.core
def test_sharded_over_eight_devices_is_one_device():
    axes, hp, params = [RunAxis("seed", 8, lanes=1)], traced(CONFIG.hp), EXPERIMENT.env.params
    sharded = run(axes, seeds(8), hp, params, device_mesh("seed", jax.devices()[:8]))
    assert len(sharded[1]["loss"].sharding.device_set) == 8
    same(sharded, run(axes, seeds(8), hp, params), exact=False)


def test_any_axis_can_be_sharded_and_nested():
    """Hyperparameters x seeds x environment parameters, each in turn split over devices."""
    hp = jax.tree.map(lambda x: jnp.stack([x, x * 0.5]), traced(CONFIG.hp))
    params = jax.tree.map(lambda x: jnp.stack([x, x]), EXPERIMENT.env.params)
    params = params.replace(gravity=jnp.asarray([9.8, 3.0], jnp.float32))
    axes = [RunAxis("point", 2, hp=True), RunAxis("level", 2, env_params=True), RunAxis("seed", 2)]
    keys = jnp.broadcast_to(seeds(2), (2, 2, 2))
    whole = run(axes, keys, hp, params)
    assert whole[1]["loss"].shape == (2, 2, 2)
    for i, j, k in np.ndindex(2, 2, 2):
        pick = lambda tree, at: jax.tree.map(lambda x: x[at], tree)
        alone = run([], keys[i, j, k], pick(hp, i), pick(params, j))
        same(pick(whole, (i, j, k)), alone, exact=False)
    for name in ("point", "level", "seed"):
        same(run(axes, keys, hp, params, device_mesh(name, jax.devices()[:2])), whole, exact=False)


def test_a_mesh_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="has size 6; the mesh splits it over 4 devices"):
        over_runs(EXPERIMENT.chunk, [RunAxis("seed", 6)], device_mesh("seed", jax.devices()[:4]))
    with pytest.raises(ValueError, match="mesh axis 'row' is no run axis"):
        over_runs(EXPERIMENT.chunk, [RunAxis("seed", 6)], device_mesh("row"))


@pytest.mark.usefixtures("all_devices")
def test_the_mesh_takes_as_many_devices_as_divide_the_runs():
    assert mesh_for("run", 1) is None
    assert mesh_for("run", 6).size == 6
    assert mesh_for("run", 12).size == 6
    assert mesh_for("run", 16).size == 8


@pytest.mark.usefixtures("all_devices")
def test_runs_stay_on_the_device_that_is_asked_for():
    with jax.default_device(jax.devices()[3]):
        assert mesh_for("run", 16) is None
        (placed,) = jax.jit(jnp.zeros, static_argnums=0)(2).devices()
        assert placed == jax.devices()[3]
    with jax.default_device("cpu"):  # a platform is no device
        assert mesh_for("run", 16).size == 8


start = pytest.fixture(starting)


@needs_an_address
def test_two_processes_get_the_numbers_of_one(tmp_path, start):
    """`jax.distributed` on the loopback device, through the command, checkpoint and all."""
    command = [sys.executable, "-m", "jaxrl_evolve", "train", "ppo", "--env", "CartPole-v1", "--seeds", "4"]
    command += ["--steps", "256", "--num-envs", "4", "--rollout-length", "16", "--rows", "2", "--quiet"]
    command += [
        "--evaluation.times",
        "1",
        "--evaluation.final-episodes",
        "32",
        "--evaluation.max-steps",
        "30",
    ]

    def run(out, devices, *more):
        return start([*command, "--out", str(tmp_path / out), *more], devices)

    cluster = ["--coordinator", address(), "--processes", "2", "--process-id"]
    for process in [run("two", 2, *cluster, "0"), run("two", 2, *cluster, "1"), run("one", 4)]:
        code, output = ended(process, 240)
        assert code == 0, output
    one, two = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two"))
    assert two["device"]["processes"] == 2
    assert two["eval_return"] == one["eval_return"]
    rows = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    for a, b in zip(*rows, strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == {
            k: v for k, v in b.items() if k != "seconds"
        }
