"""Measures this library for `off_policy`, in a process of its own: one line in, one JSON object out."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import Any

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)

# isort: split
import jax
import jax.numpy as jnp
import off_policy_cases as cases
from throughput_peer import say

from jaxrl_evolve import TrainConfig, random
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.config import EvaluationConfig
from jaxrl_evolve.training.experiment import build, traced

FLAT = {"encoder": "flat", "activation": "swish"}
EVALUATION = EvaluationConfig(times=1, episodes=1, final_episodes=1)


def whole_training(case: dict[str, Any]) -> None:
    """A training of one seed from its key on, as one program."""
    learner = {name: case[name] for name in ("capacity", "warm_up", "batch")} | {"gradient_steps": 1}
    hp: dict[str, Any] = {"learning_rate": case["learning_rate"], "learning_rate_end": 1.0}
    if case["algorithm"] == "dqn":
        learner |= {
            "network": {**FLAT, "hidden": case["hidden"]},
            "loss": "squared",
            "store_bytes": False,
            "target_period": case["target_period"],
        }
        hp |= {"exploration": 0.1, "epsilon_end": 0.05, "max_grad_norm": float("inf")}
    else:
        learner |= {"hidden": case["hidden"]}
        hp |= {"critic_learning_rate": case["learning_rate"], "target_rate": case["target_rate"]}
    config = TrainConfig.preset(
        case["algorithm"],
        case["env"],
        steps=case["steps"],
        num_envs=case["num_envs"],
        rollout_length=1,
        learner=learner,
        hp=hp,
        evaluation=EVALUATION,
    )
    env, _, chunk, *_ = build(config)
    traced_hp = traced(config.hp)

    def train(key: Any) -> Any:
        state = chunk.init(key, traced_hp, env.params)
        return chunk.run(
            state, traced_hp, (), env.params, jnp.float32(config.updates), jnp.int32(config.updates)
        )

    began = time.perf_counter()
    compiled = jax.jit(train).lower(random.key(0)).compile()
    say(compile_seconds=time.perf_counter() - began, units=case["steps"], **provenance())
    for _ in sys.stdin:
        began = time.perf_counter()
        state, metrics = jax.block_until_ready(compiled(random.key(0)))
        seconds = time.perf_counter() - began
        assert int(state.diverged) == -1 and float(metrics["replay_fill"]) > 0
        say(seconds=seconds)


def self_prediction(case: dict[str, Any]) -> None:
    """Gradient steps with hardly anything between them (``train``), and whole environment steps (``whole``)."""

    def prepared(gradient_steps: int) -> Any:
        config = TrainConfig.preset("spr", case["env"], steps=100_000, evaluation=EVALUATION)
        learner = replace(config.learner, warm_up=128, capacity=1_024, gradient_steps=gradient_steps)
        config = replace(config, learner=learner)
        env, _, chunk, *_ = build(config)
        hp = traced(config.hp)
        state = jax.jit(chunk.init)(random.key(0), hp, env.params)
        run = jax.jit(chunk.run, donate_argnums=0)
        go = lambda state, n: run(state, hp, (), env.params, jnp.float32(1e5), jnp.int32(n))[0]
        return go, jax.block_until_ready(go(state, 130))

    began = time.perf_counter()
    programs = {"train": (*prepared(case["updates"]), 1), "whole": (*prepared(2), case["env_steps"])}
    say(compile_seconds=time.perf_counter() - began, units=1, **provenance())
    for line in sys.stdin:
        go, state, count = programs[line.strip()]
        began = time.perf_counter()
        state = jax.block_until_ready(go(state, count))
        seconds = time.perf_counter() - began
        programs[line.strip()] = (go, state, count)
        say(seconds=seconds / (case["updates"] if line.strip() == "train" else count))


if __name__ == "__main__":
    name = sys.argv[1]
    if name in cases.REJAX:
        whole_training(cases.REJAX[name])
    else:
        self_prediction(cases.SPR[name])
