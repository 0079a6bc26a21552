"""Times the public code of GROOVE, LPG and TA-LPG, run by the interpreter of its own virtual environment.

Imports nothing of jaxrl_evolve. Its working directory is the peer's checkout, from which it imports everything
that a meta-step is made of. Its own ``make_train`` returns the objective that it was given rather than the one it
trained, so the compiler leaves the meta-gradient out of the program altogether; `meta_step` returns the trained
one. The code was written for jax 0.4.13; what makes it run today is put in from outside (`shims`). It speaks the
protocol of `throughput_worker`: one JSON object per line.
"""

import functools
import importlib.metadata
import json
import os
import sys
import time
import types

import jax
from throughput_peer import peak_mib, say


def shims(width: int) -> None:
    """What the code needs that newer packages no longer have; nothing of what it computes is changed."""
    jax.tree_map = jax.tree_util.tree_map
    sys.modules["jax.config"] = types.ModuleType("jax.config")
    sys.modules["jax.config"].config = jax.config
    sys.modules["wandb"] = types.ModuleType("wandb")  # imported for logging, which is off
    import flax.linen

    # The cell used to take its width from its state.
    flax.linen.GRUCell = functools.partial(flax.linen.GRUCell, features=width)
    from environments.gridworld.gridworld import GridWorld

    def step(self, key, state, action, params):
        """gymnax 0.0.6's: resets by itself and knows one flag of an episode's end."""
        key, key_reset = jax.random.split(key)
        obs, after, reward, done, info = self.step_env(key, state, action, params)
        fresh_obs, fresh = self.reset_env(key_reset, params)
        after = jax.tree.map(lambda new, old: jax.lax.select(done, new, old), fresh, after)
        return jax.lax.select(done, fresh_obs, obs), after, reward, done, info

    # Its state starts with Python numbers; the selection above needs arrays.
    def strong(function):
        def typed(self, *arguments):
            return jax.tree.map(jax.numpy.asarray, function(self, *arguments))

        return typed

    GridWorld.reset_env = strong(GridWorld.reset_env)
    GridWorld.step_env = strong(GridWorld.step_env)
    GridWorld.step = step
    GridWorld.discount = lambda self, state, params: jax.lax.select(self.is_terminal(state, params), 0.0, 1.0)


def add_lifetimes(low: int, high: int) -> str:
    """A mode of the levels 'small' with log-uniform lifetimes, made as the code makes 'all_vrandlife' of 'all'."""
    from environments.gridworld import configs

    name = "small_lifetimes"
    for table in (configs.ENV_MODE_PARAMS, configs.ENV_MODE_KWARGS, configs.ENV_MODE_EPISODE_LEN):
        table[name] = table["small"]
    configs.MODE_AGENT_HYPERS[name] = configs.MODE_AGENT_HYPERS["small"]
    drawn = functools.partial(configs.log_uniform_int, shape=(), minval=low, maxval=high)
    configs.ENV_MODE_LIFETIME[name] = drawn if low < high else lambda key: high
    configs.ENV_MODE_LIFETIME_MAX[name] = high
    return name


def arguments(case: dict, low: int, high: int) -> list:
    words = {
        "env_mode": add_lifetimes(low, high),
        "env_workers": case["num_envs"],
        "train_rollout_len": case["rollout_length"],
        "train_steps": 1,
        "num_agents": case["agents"],
        "num_mini_batches": case["peer_mini_batches"],
        "lpg_gru_width": case["width"],
        "lpg_target_width": case["predictions"],
        "num_agent_updates": case.get("inner_updates", 5),
        "lpg_learning_rate": 1e-2 if case["es"] else 1e-4,
    }
    flags = [word for name, value in words.items() for word in (f"--{name}", str(value))]
    return [*flags, "--lifetime_conditioning", *(["--use_es"] if case["es"] else [])]


def meta_step(args):
    """Fresh agents and one step of the objective, as a function of a key, with all that the peer computes."""
    from environments.level_sampler import LevelSampler
    from meta.meta import create_lpg_train_state, make_lpg_train_step

    sampler = LevelSampler(args)
    step = make_lpg_train_step(args, sampler)

    def run(key):
        keys = jax.random.split(key, 5)
        objective, buffer = create_lpg_train_state(keys[0], args), sampler.initialize_buffer(keys[1])
        buffer, agents, critics = sampler.initial_sample(keys[2], buffer, args.num_agents, not args.use_es)
        objective, agents, critics, metrics = step(
            rng=keys[3], lpg_train_state=objective, agent_states=agents, value_critic_states=critics
        )
        return metrics, objective, *sampler.sample(keys[4], buffer, agents, critics)

    return run


def main() -> None:
    sys.path.insert(0, os.getcwd())
    case = json.loads(sys.argv[1])
    shims(case["width"])
    from experiments.parse_args import parse_args

    names = ("jax", "jaxlib", "gymnax", "flax", "optax", "evosax")
    versions = {name: importlib.metadata.version(name) for name in names}
    began, programs, temporary = time.perf_counter(), {}, {}
    key = jax.random.PRNGKey(0)
    for name, (low, high) in case["lifetimes"].items():
        step = meta_step(parse_args(arguments(case, low, high)))
        programs[name] = jax.jit(step).lower(key).compile()
        temporary[name] = programs[name].memory_analysis().temp_size_in_bytes / 2**20
    say(compile_seconds=time.perf_counter() - began, temporary_mib=temporary, versions=versions)
    for line in sys.stdin:
        run, before = programs[line.strip()], peak_mib()
        began, processor = time.perf_counter(), time.process_time()
        jax.block_until_ready(run(key))
        say(
            seconds=time.perf_counter() - began,
            processor_seconds=time.process_time() - processor,
            grown_mib=peak_mib() - before,
            peak_mib=peak_mib(),
        )


if __name__ == "__main__":
    main()
