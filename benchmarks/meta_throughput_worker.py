"""Measures this library's meta-training in a process of its own: one case of one part.

The process prints one JSON object per line: first what it compiled, then one answer for every line it reads,
which names what is to run. See `throughput_worker`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve._cpu import use_all_cores

use_all_cores()  # as the command does

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from meta_throughput_cases import spread  # noqa: E402
from throughput_peer import peak_mib, say  # noqa: E402

from jaxrl_evolve import random  # noqa: E402
from jaxrl_evolve.meta import MetaTrainConfig, generation  # noqa: E402
from jaxrl_evolve.meta.evolution import member  # noqa: E402
from jaxrl_evolve.meta.experiment import build_meta, tasks  # noqa: E402
from jaxrl_evolve.meta.gradient import gradient_programs  # noqa: E402
from jaxrl_evolve.meta.lifetimes import PAIRS  # noqa: E402
from jaxrl_evolve.runs.axes import RunAxis, mesh_for, over_runs  # noqa: E402
from jaxrl_evolve.runs.chunk import make_chunk  # noqa: E402
from jaxrl_evolve.storage.provenance import provenance  # noqa: E402
from jaxrl_evolve.training.experiment import traced  # noqa: E402


def configuration(case: dict[str, Any], **changes: Any) -> MetaTrainConfig[Any, Any, Any]:
    """The settings of `meta_throughput_peer.arguments`."""
    return MetaTrainConfig.preset(
        "ta-lpg",
        case["env"],
        num_envs=case["num_envs"],
        rollout_length=case["rollout_length"],
        settings={"width": case["width"], "predictions": case["predictions"]},
        evolution={"population": 2 * case["agents"]},
        fitness={"episodes": case["num_envs"]},
        gradient={"lifetimes": case["agents"], "inner_updates": case.get("inner_updates", 5)},
        **changes,
    )


def compiled_generation(case: dict[str, Any], lanes: int = -1) -> tuple[Callable[[np.ndarray], Any], Any]:
    """A generation of `meta_train` as a function of its lifetimes, and the compiled program."""
    config = configuration(case, lanes=lanes)
    programs = generation.evolution_programs(config, build_meta(config), mesh_for(PAIRS, case["agents"]))
    hp = traced(config.hp)
    state = jax.jit(programs.init)(random.key(0), hp)

    def of_lifetimes(state: Any, hp: Any, lengths: Any) -> Any:
        drawn = generation.sample_horizons
        try:  # One program for all lifetimes: they are data where it would draw them.
            generation.sample_horizons = lambda *_: lengths
            return programs.generation(state, hp)
        finally:
            generation.sample_horizons = drawn

    lengths = jnp.zeros((case["agents"],), jnp.int32)
    compiled = jax.jit(of_lifetimes).lower(state, hp, lengths).compile()
    return lambda lengths: compiled(state, hp, jnp.asarray(lengths)), compiled


def temporary_mib(compiled: Any, devices: int) -> float:
    """What XLA sets aside for intermediate results, on all devices together."""
    return devices * compiled.memory_analysis().temp_size_in_bytes / 2**20


def answer(programs: dict[str, Callable[[], Any]], **about: Any) -> None:
    """Say hello, then time whatever is asked for."""
    say(**about, **provenance())
    for line in sys.stdin:
        run, before = programs[line.strip()], peak_mib()
        began, processor = time.perf_counter(), time.process_time()
        jax.block_until_ready(run())
        seconds = time.perf_counter() - began
        say(
            seconds=seconds,
            processor_seconds=time.process_time() - processor,
            grown_mib=peak_mib() - before,
            peak_mib=peak_mib(),
        )


def lifetimes(case: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: spread(*bounds, case["agents"]) for name, bounds in case["lifetimes"].items()}


def one_generation(case: dict[str, Any]) -> None:
    """Generations of every kind of lifetimes."""
    began = time.perf_counter()
    run, compiled = compiled_generation(case)
    lengths = lifetimes(case)
    answer(
        {name: lambda n=n: run(n) for name, n in lengths.items()},
        compile_seconds=time.perf_counter() - began,
        temporary_mib=temporary_mib(compiled, device_count(case)),
        updates={name: 2 * int(n.sum()) for name, n in lengths.items()},
    )


def device_count(case: dict[str, Any]) -> int:
    mesh = mesh_for(PAIRS, case["agents"])
    return 1 if mesh is None else mesh.size


def gradient(case: dict[str, Any]) -> None:
    """Meta-gradient steps: as the command runs them, and with all agents side by side as the peer runs them."""
    began = time.perf_counter()
    runs, temporary = {}, {}
    for name, lanes in (("step", -1), ("side by side", 0)):
        config = configuration(case, estimator="meta-gradient", lanes=lanes)
        programs = gradient_programs(config, build_meta(config), mesh_for(PAIRS, case["agents"]))
        hp = traced(config.hp)
        state = jax.jit(programs.init)(random.key(0), hp)
        compiled = jax.jit(programs.generation).lower(state, hp).compile()
        temporary[name] = temporary_mib(compiled, device_count(case))
        runs[name] = lambda run=compiled, state=state, hp=hp: run(state, hp)
    answer(runs, compile_seconds=time.perf_counter() - began, temporary_mib=temporary)


def buckets(case: dict[str, Any]) -> None:
    """Generations with few and with all pairs of a device side by side."""
    lengths, runs = lifetimes(case), {}
    for lanes in case["lanes"]:
        run, _ = compiled_generation(case, lanes)
        runs |= {f"{name}, {lanes} lanes": lambda run=run, n=n: run(n) for name, n in lengths.items()}
    answer(runs, ideal={name: float(n.max() / n.mean()) for name, n in lengths.items()})


def overhead(case: dict[str, Any]) -> None:
    """A generation, and as many updates of as many agents with nothing around them."""
    config = configuration(case)
    members, length = 2 * case["agents"], int(case["lifetimes"]["fixed"][1])
    experiment, hp = build_meta(config), traced(config.hp)
    mesh = mesh_for("member", members)
    axis = RunAxis("member", members, eta=True, env_params=True, lanes=1)
    chunk = over_runs(make_chunk(experiment.learner, experiment.venv, config.rollout_length), [axis], mesh)
    keys = jax.random.split(random.key(1), members)
    # Random objectives: those of the mean would ask for nothing.
    start = experiment.start(random.key(0))
    etas = jax.vmap(lambda key: member(start, key, 0.1, 1.0))(keys)
    params = tasks(experiment.env, keys)
    state = jax.jit(chunk.init)(keys, hp, params)
    rest = (hp, etas, params, jnp.float32(length), jnp.int32(length))
    bare = jax.jit(chunk.run).lower(state, *rest).compile()
    run, _ = compiled_generation(case)
    fixed = lifetimes(case)["fixed"]
    answer({"generation": lambda: run(fixed), "bare": lambda: bare(state, *rest)}, updates=members * length)


PARTS = {"generation": one_generation, "gradient": gradient, "buckets": buckets, "overhead": overhead}

if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    PARTS[settings["part"]](settings)
