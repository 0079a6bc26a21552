"""Times Rejax's DQN and SAC for `off_policy`, run by the interpreter of a virtual environment of its own.

Imports nothing of jaxrl_evolve. What it evaluates in between is left out, since that is not what is compared.
"""

import importlib.metadata
import json
import sys
import time

import jax
from throughput_peer import say


def settings(case: dict) -> dict:
    common = {
        "env": case["env"],
        "num_envs": case["num_envs"],
        "total_timesteps": case["steps"],
        "eval_freq": case["steps"],
        "skip_initial_evaluation": True,
        "buffer_size": case["capacity"],
        "fill_buffer": case["warm_up"],
        "batch_size": case["batch"],
        "learning_rate": case["learning_rate"],
        "gamma": 0.99,
        "num_epochs": 1,
    }
    if case["algorithm"] == "dqn":
        # Steps, not gradient steps; all of the network is copied.
        renewed = {"target_update_freq": case["target_period"] * case["num_envs"], "polyak": 0.0}
        # Its hidden layers are always two of 64, with swish between them.
        return common | renewed | {"exploration_fraction": 0.1, "eps_end": 0.05, "ddqn": True}
    renewed = {"target_update_freq": 1, "polyak": 1.0 - case["target_rate"]}
    return common | renewed | {"hidden_layer_sizes": tuple(case["hidden"])}


def main() -> None:
    import rejax

    case = json.loads(sys.argv[1])
    algorithm = rejax.get_algo(case["algorithm"]).create(**settings(case))
    algorithm = algorithm.replace(eval_callback=lambda *_: ())
    names = ("rejax", "jax", "jaxlib", "gymnax", "flax", "optax", "distrax")
    versions = {name: importlib.metadata.version(name) for name in names}
    key = jax.random.PRNGKey(0)
    began = time.perf_counter()
    compiled = jax.jit(lambda key: algorithm.train(rng=key)[0]).lower(key).compile()
    say(compile_seconds=time.perf_counter() - began, versions=versions)
    for _ in sys.stdin:
        began = time.perf_counter()
        state = jax.block_until_ready(compiled(key))
        seconds = time.perf_counter() - began
        assert int(state.global_step) == case["steps"]
        say(seconds=seconds)


if __name__ == "__main__":
    main()
