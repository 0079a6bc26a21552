"""Times PureJaxRL's ``ppo.py``, run by the interpreter of its own virtual environment.

Imports nothing of jaxrl_evolve. Its working directory is the peer's checkout, from which it imports
``make_train`` only. It speaks the protocol of `throughput_worker`: one JSON object per line.
"""

import importlib.metadata
import json
import os
import sys
import time

import jax

# Libraries print where they like; the answers have a channel of their own.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def settings(case: dict) -> dict:
    return {
        "ENV_NAME": case["env"],
        "NUM_ENVS": case["num_envs"],
        "NUM_STEPS": case["rollout_length"],
        "TOTAL_TIMESTEPS": case["updates"] * case["num_envs"] * case["rollout_length"],
        "UPDATE_EPOCHS": case["epochs"],
        "NUM_MINIBATCHES": case["minibatches"],
        "LR": case["learning_rate"],
        "ANNEAL_LR": True,
        "GAMMA": 0.99,
        "GAE_LAMBDA": 0.95,
        "CLIP_EPS": 0.2,
        "ENT_COEF": 0.01,
        "VF_COEF": 0.5,
        "MAX_GRAD_NORM": 0.5,
        "ACTIVATION": case["activation"],
        "DEBUG": False,
    }


def peak_mib() -> float:
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        return float("nan")


def last_returns(out: dict, updates: int) -> list:
    """Per seed: mean return of the episodes that ended in the last ``updates`` updates."""
    ended = out["metrics"]["returned_episode"][:, -updates:]
    returns = out["metrics"]["returned_episode_returns"][:, -updates:]
    axes = (1, 2, 3)
    return ((returns * ended).sum(axes) / ended.sum(axes)).tolist()


def say(**answer: object) -> None:
    print(json.dumps(answer), file=ANSWERS, flush=True)


def main() -> None:
    sys.path.insert(0, os.getcwd())
    import ppo

    case = json.loads(sys.argv[1])
    names = ("jax", "jaxlib", "gymnax", "flax", "optax", "distrax")
    versions = {name: importlib.metadata.version(name) for name in names}
    train, seeds = ppo.make_train(settings(case)), case["seeds"]
    key = jax.random.PRNGKey(0)
    if seeds > 1:
        train, key = jax.vmap(train), jax.random.split(key, seeds)
    began = time.perf_counter()
    compiled = jax.jit(train).lower(key).compile()
    say(compile_seconds=time.perf_counter() - began, versions=versions)
    for line in sys.stdin:
        began = time.perf_counter()
        out = jax.block_until_ready(compiled(key))
        answer = {"seconds": time.perf_counter() - began, "peak_mib": peak_mib()}
        if line.startswith("returns"):
            answer["returns"] = last_returns(out, case["last_updates"])
        say(**answer)


if __name__ == "__main__":
    main()
