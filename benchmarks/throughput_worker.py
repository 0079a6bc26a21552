"""Measures this library in a process of its own: one case of one part.

The process prints one JSON object per line: first what it compiled, then one answer for every line it
reads, so that `throughput` can let it and the peer take turns.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve._cpu import use_all_cores

use_all_cores()  # as the command does

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from throughput_peer import peak_mib, say  # noqa: E402

from jaxrl_envs.vector import VectorEnv, VectorState, VectorStep, resets_from_name, vectorize  # noqa: E402
from jaxrl_evolve import random  # noqa: E402
from jaxrl_evolve.clock import Clock  # noqa: E402
from jaxrl_evolve.experience.minibatches import make_minibatches  # noqa: E402
from jaxrl_evolve.experience.returns import gae  # noqa: E402
from jaxrl_evolve.learners.critic import next_values  # noqa: E402
from jaxrl_evolve.networks.table import make_network  # noqa: E402
from jaxrl_evolve.runs.axes import mesh_for  # noqa: E402
from jaxrl_evolve.runs.chunk import make_chunk  # noqa: E402
from jaxrl_evolve.runs.rollout import rollout  # noqa: E402
from jaxrl_evolve.storage.provenance import provenance  # noqa: E402
from jaxrl_evolve.training.config import EvaluationConfig, TrainConfig  # noqa: E402
from jaxrl_evolve.training.experiment import build, traced  # noqa: E402
from jaxrl_evolve.training.programs import AXIS, compile_programs  # noqa: E402
from jaxrl_evolve.training.train import train  # noqa: E402


class CompileLog:
    """What jax traced and compiled since, by function name."""

    def __init__(self) -> None:
        self.traces: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        jax.monitoring.register_event_duration_secs_listener(self._note)

    def _note(self, event: str, seconds: float, **about: Any) -> None:
        name = str(about.get("fun_name", "")).removeprefix("jit(").removesuffix(")")
        if event.startswith("/jax/core/compile/"):
            self.seconds[name] += seconds
        if event.endswith("jaxpr_trace_duration"):
            self.traces[name] += 1


def training_config(case: dict[str, Any]) -> TrainConfig[Any, Any]:
    """The settings of `throughput_peer.settings`."""
    return TrainConfig.preset(
        "ppo",
        case["env"],
        steps=case["updates"] * case["num_envs"] * case["rollout_length"],
        num_envs=case["num_envs"],
        rollout_length=case["rollout_length"],
        resets="full",
        seeds=case["seeds"],
        learner={
            "epochs": case["epochs"],
            "minibatches": case["minibatches"],
            "network": {"activation": case["activation"], "hidden": (64, 64)},
        },
        hp={
            "learning_rate": case["learning_rate"],
            "learning_rate_end": 0.0,
            "gamma": 0.99,
            "gae_lambda": 0.95,
            "clip": 0.2,
            "value_coef": 0.5,
            "entropy_coef": 0.01,
            "max_grad_norm": 0.5,
        },
    )


def speed(case: dict[str, Any]) -> None:
    """A whole training run per line read: the programs that `jaxrl-evolve train` runs."""
    log, config = CompileLog(), training_config(case)
    seeds, updates, last = np.arange(config.seeds), config.updates, case.get("last_updates", 0)
    hp = traced(config.hp)
    programs = compile_programs(
        build(config),
        hp,
        config.seeds,
        updates,
        EvaluationConfig(),
        config.seed,
        mesh_for(AXIS, config.seeds),
    )
    # The peer compiles no evaluation; everything else counts, also making the first state.
    say(compile_seconds=programs.compile_seconds - log.seconds["evaluate"], **provenance())
    for line in sys.stdin:
        began = time.perf_counter()
        state, _ = programs.advance(programs.init(seeds, hp), hp, updates - last)
        metrics: Any = None
        if last:
            state, metrics = programs.advance(state, hp, last)
        jax.block_until_ready(state.updates)
        answer = {"seconds": time.perf_counter() - began, "peak_mib": peak_mib()}
        if line.startswith("returns"):
            answer["returns"] = np.asarray(metrics["episode_return"]).tolist()
        say(**answer)


def seconds_of(function: Callable[..., Any], *args: Any, repeats: int = 5, at_least: float = 0.3) -> float:
    """Median time of a compiled call, each measured over enough calls to take ``at_least`` seconds."""
    compiled = jax.jit(function).lower(*args).compile()
    jax.block_until_ready(compiled(*args))
    times, calls = [], 1
    while len(times) < repeats:
        began = time.perf_counter()
        for _ in range(calls):
            out = compiled(*args)
        jax.block_until_ready(out)
        took = time.perf_counter() - began
        if took < at_least:
            calls *= 2
        else:
            times.append(took / calls)
    return float(np.median(times))


def breakdown(case: dict[str, Any]) -> None:
    """Milliseconds of one update of one run and of its parts, each compiled alone."""
    config = training_config(case)
    env, learner, chunk, *_ = build(config)
    length, num, hp = config.rollout_length, config.num_envs, traced(config.hp)
    venv = vectorize(env, num)
    network = make_network(config.learner.network, env.observation_space, env.action_space)
    minibatches = make_minibatches("blocks", length, num, config.learner.minibatches)
    key = random.key(0)
    state = jax.jit(chunk.init)(key, hp, env.params)
    horizon, few = jnp.float32(config.updates), jnp.int32(8)

    def act_and_step(key: Any, learned: Any, envs: Any) -> Any:
        envs, _, trajectory, _ = rollout(key, learner, learned, venv, envs, (), env.params, length)
        return envs, trajectory.replace(policy=trajectory.policy.replace(distribution=None), info={})

    def step_only(key: Any, envs: Any, actions: Any) -> Any:
        def body(envs: Any, xs: Any) -> Any:
            after, seen = venv.step(xs[0], envs, xs[1], env.params)
            return after, (envs.obs, seen.reward, seen.terminated, seen.truncated, envs.first, seen.next_obs)

        return jax.lax.scan(body, envs, (jax.random.split(key, length), actions))

    def values_and_advantages(params: Any, t: Any) -> Any:
        value = network.value(params, t.obs, ())
        after = next_values(network, params, t, value, ())
        return value, gae(t.reward, value, after, t.terminated, t.ended, hp.gamma, hp.gae_lambda)

    def shuffle(key: Any, data: Any) -> Any:
        def body(total: Any, rows: Any) -> Any:
            taken = jax.lax.optimization_barrier(minibatches.take(data, rows))
            return total + sum(jnp.ravel(x)[0].astype(jnp.float32) for x in jax.tree.leaves(taken)), None

        return jax.lax.scan(body, jnp.float32(0), minibatches.permutations(key, config.learner.epochs))

    def bare(params: Any, batches: Any) -> Any:
        """The network forwards and backwards, with about the cheapest loss that depends on all outputs."""

        def loss(params: Any, obs: Any, weights: Any, target: Any) -> Any:
            distribution, value, _ = network.unroll(params, obs, jnp.zeros(obs.shape[:2], bool), ())
            return jnp.vdot(distribution.logits, weights) + jnp.square(value - target).sum()

        def body(params: Any, batch: Any) -> Any:
            gradient = jax.grad(loss)(params, *batch)
            return jax.tree.map(lambda p, g: p - 1e-6 * g, params, gradient), None

        return jax.lax.scan(body, params, batches)

    _, trajectory = jax.jit(act_and_step)(key, state.learner, state.envs)
    params = state.learner.params
    value, (advantage, target) = jax.jit(values_and_advantages)(params, trajectory)
    with_value = trajectory.replace(policy=trajectory.policy.replace(value=value))
    kept = with_value.replace(next_obs=(), reward=(), terminated=(), truncated=(), first=())
    logits = jnp.stack([advantage] * network.policy(network.actor(params), trajectory.obs[0], trajectory.first[0], ())[0].logits.shape[-1], -1)  # fmt: skip
    rows = minibatches.permutations(key, config.learner.epochs)
    batches = jax.vmap(lambda r: minibatches.take((trajectory.obs, logits, target), r))(rows)
    clock = Clock.at(0.0, 1.0)

    def many(state: Any) -> Any:
        return chunk.run(state, hp, (), env.params, horizon, few)[0]

    say(**provenance())
    for _ in sys.stdin:
        whole = seconds_of(many, state) / int(few)
        acting_and_env = seconds_of(act_and_step, key, state.learner, state.envs)
        environment = seconds_of(step_only, key, state.envs, trajectory.action)
        updating = seconds_of(
            lambda k, s, t: learner.update(k, s, t, hp, (), clock), key, state.learner, trajectory
        )
        values = seconds_of(values_and_advantages, params, trajectory)
        shuffling = seconds_of(shuffle, key, (kept, advantage, target))
        network_alone = seconds_of(bare, params, batches)
        milliseconds = {
            "environment": environment,
            "acting": acting_and_env - environment,
            "values and advantages": values,
            "shuffling": shuffling,
            "gradients and optimiser": updating - values - shuffling,
            "rest": whole - acting_and_env - updating,
            "whole update": whole,
            "network alone": network_alone,
        }
        say(milliseconds={name: 1e3 * x for name, x in milliseconds.items()})


def without_resets(env: Any, num_envs: int) -> VectorEnv:
    """`vectorize` with the reset branch left out: ended episodes run on."""
    venv = vectorize(env, num_envs)

    def step(key: Any, state: VectorState, action: Any, params: Any) -> tuple[VectorState, VectorStep]:
        out = jax.vmap(env.step, (0, 0, 0, None))(jax.random.split(key, num_envs), state.env, action, params)
        ended = out.terminated | out.truncated
        total, length = state.episode_return + out.reward, state.episode_length + 1
        carried = VectorState(out.state, out.obs, ended, total, length, state.pool)
        return carried, VectorStep(
            out.obs, out.reward, out.terminated, out.truncated, out.info, total, length
        )

    return venv._replace(step=step)


def resets(case: dict[str, Any]) -> None:
    """Seconds of the same training with each reset policy and with none, taking turns."""
    config = TrainConfig.preset(
        "ppo",
        case["env"],
        steps=case["updates"] * case["num_envs"] * case["rollout_length"],
        num_envs=case["num_envs"],
        rollout_length=case["rollout_length"],
        env_options=case["env_options"],
        learner={"minibatches": case["minibatches"], "network": {"hidden": tuple(case["hidden"])}},
    )
    env, learner, *_ = build(config)
    hp, horizon, updates = traced(config.hp), jnp.float32(config.updates), jnp.int32(config.updates)
    programs, compile_seconds = {}, {}
    for policy in case["policies"]:
        venv = (
            vectorize(env, config.num_envs, resets_from_name(policy))
            if policy != "none"
            else without_resets(env, config.num_envs)
        )
        chunk, began = make_chunk(learner, venv, config.rollout_length), time.perf_counter()
        state = jax.jit(chunk.init)(random.key(0), hp, env.params)
        run = jax.jit(chunk.run).lower(state, hp, (), env.params, horizon, updates).compile()
        programs[policy] = (run, state)
        compile_seconds[policy] = time.perf_counter() - began
        print(f"compiled {policy} in {compile_seconds[policy]:.0f} s", file=sys.stderr, flush=True)
    say(compile_seconds=compile_seconds, **provenance())
    for _ in sys.stdin:
        seconds, ended = {}, {}
        for policy, (run, state) in programs.items():
            began = time.perf_counter()
            _, metrics = jax.block_until_ready(run(state, hp, (), env.params, horizon, updates))
            seconds[policy], ended[policy] = time.perf_counter() - began, float(metrics["episodes"])
        say(seconds=seconds, episodes=ended, peak_mib=peak_mib())


def traces(case: dict[str, Any]) -> None:
    """How often the host loop traced each of its programs in a run of many stops."""
    log, config = CompileLog(), training_config(case)
    say(**provenance())
    for _ in sys.stdin:
        before = log.traces.copy()
        rows = len(train(config).rows)
        say(rows=rows, traces={name: log.traces[name] - before[name] for name in ("init", "run", "evaluate")})


PARTS = {"speed": speed, "breakdown": breakdown, "resets": resets, "traces": traces}

if __name__ == "__main__":
    PARTS[sys.argv[1]](json.loads(sys.argv[2]))
