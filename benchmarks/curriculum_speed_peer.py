"""Times JaxUED's maze scripts, or SFL's, for `curriculum_speed`: run by the interpreter of a virtual environment of its own, in its checkout.

    python benchmarks/curriculum_speed_peer.py SCRIPT SETTINGS UPDATES TURNS

says its versions and how many parameters its network has, and then, for each line that it is sent, the seconds of so many of its own updates, compiled, as JSON. Imports nothing of jaxrl_evolve.
The script's ``main`` is run up to the first call of its compiled step, of which only the training is taken, with whatever it reports, without evaluation and drawing; trackers and progress are
left out. The network is given to it from here: this library's, written in flax with the recurrent wrapper of the script. ``TURNS`` says of each update whether it replays levels, where the script
would draw that (``[]``: nothing is drawn).
"""

import importlib.metadata
import json
import os
import sys
import time
import types

import jax
import jax.numpy as jnp

HIDDEN, MEMORY = 64, 256
STEP = "train_and_eval_step"


class Begun(Exception):
    """The script has come to its first step.

    Attributes:
        inside: what the step's function reads around it, by name.
        state: its first argument.
    """

    def __init__(self, inside, state):
        super().__init__()
        self.inside, self.state = inside, state


def without_trackers(config):
    """A module in the place of wandb that keeps nothing."""
    tracker = types.ModuleType("wandb")
    nothing = lambda *given, **named: None
    tracker.config = config
    tracker.init = lambda *given, **named: types.SimpleNamespace(name="run")
    for name in ("define_metric", "log", "Image", "Video", "Artifact", "save", "finish"):
        setattr(tracker, name, nothing)
    sys.modules["wandb"] = tracker


def network():
    """One trunk: a layer, a GRU, and two linear heads."""
    import distrax
    import flax.linen as nn
    from flax.linen.initializers import orthogonal
    from jaxued.linen import ResetRNN

    class Network(nn.Module):
        action_dim: int

        @nn.compact
        def __call__(self, inputs, hidden):
            obs, dones = inputs
            image = obs.image.reshape((*obs.image.shape[:-3], -1))
            x = jnp.concatenate([image, jax.nn.one_hot(obs.agent_dir, 4)], -1)
            x = nn.tanh(nn.Dense(HIDDEN, kernel_init=orthogonal(2**0.5))(x))
            hidden, x = ResetRNN(nn.GRUCell(features=MEMORY))((x, dones), initial_carry=hidden)
            logits = nn.Dense(self.action_dim, kernel_init=orthogonal(0.01))(x)
            value = nn.Dense(1, kernel_init=orthogonal(1.0))(x)
            return hidden, distrax.Categorical(logits=logits), value[..., 0]

        @staticmethod
        def initialize_carry(batch):
            return jnp.zeros((*batch, MEMORY))

    return Network


def begun(run):
    """What the script has at its first step."""
    compiled = jax.jit

    def watched(function=None, *given, **named):
        if getattr(function, "__name__", "") != STEP:
            return compiled(function, *given, **named) if callable(function) else compiled(*given, **named)

        def step(state, *_):
            names, cells = function.__code__.co_freevars, function.__closure__
            raise Begun({name: cell.cell_contents for name, cell in zip(names, cells, strict=True)}, state)

        return step

    jax.jit = watched
    try:
        run()
    except Begun as found:
        return found.inside, found.state
    finally:
        jax.jit = compiled
    raise SystemExit(f"the script has no function {STEP} that it compiles")


def in_turn(step, sampler):
    """The script's step with whether it replays levels as its second argument, instead of drawn by the class of its level buffers."""

    def told(state, replays):
        drawn = sampler.sample_replay_decision
        sampler.sample_replay_decision = lambda *given: replays
        try:
            return step(state, None)
        finally:
            sampler.sample_replay_decision = drawn

    return told


def of_jaxued(script, settings, updates, turns):
    """Its training, from its own first state."""
    sys.path[:0] = [os.path.join(os.getcwd(), "src"), os.path.join(os.getcwd(), "examples")]
    module = __import__(script)
    module.ActorCritic = network()
    inside, state = begun(lambda: module.main(settings))
    step = in_turn(inside["train_step"], module.LevelSampler) if turns else inside["train_step"]
    xs = jnp.asarray(turns) if turns else None
    return (
        jax.jit(lambda state: jax.lax.scan(step, state, xs, updates)),
        lambda out: out[0],
        state,
        state[1].params,
    )


def of_sfl(settings, updates):
    """A search for learnable levels, and the updates on them."""
    sys.path.insert(0, os.getcwd())
    # What later versions of jax do not have, or do not take, any more: `jax.tree_map`, and whole numbers as flags of what a mean counts.
    jax.tree_map = jax.tree_util.tree_map
    from jax._src.numpy import reductions

    reductions.check_where = lambda name, where: None if where is None else jnp.asarray(where, bool)
    from omegaconf import OmegaConf
    from sfl.train import minigrid_sfl as module

    module.ActorCritic = network()
    module.print = lambda *given: None  # of tracers
    inside, state = begun(lambda: module.main(OmegaConf.create(settings)))
    search, step = inside["get_learnability_set"], inside["train_step"]

    def cycle(state):
        scores, levels = search(jax.random.fold_in(jax.random.key(0), state[-2]), state[0].params)
        (state, _), metrics = jax.lax.scan(step, (state, levels), None, updates)
        return state, scores, metrics

    return jax.jit(cycle), lambda out: out[0], state, state[0].params


def main():
    script, settings, updates, turns = sys.argv[1], *map(json.loads, sys.argv[2:5])
    without_trackers(settings)
    made = of_sfl(settings, updates) if script == "sfl" else of_jaxued(script, settings, updates, turns)
    run, kept, state, params = made
    # The first state's whole numbers are weakly typed, those of later states not: compiled for the first, the second call would compile again, in a timing.
    state = jax.tree.map(lambda x: jnp.asarray(x, jnp.asarray(x).dtype), state)
    run = run.lower(state).compile()
    names = ("jaxued", "jax", "jaxlib", "flax", "optax", "distrax")
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    versions = {name: found[name] for name in names if name in found}
    size = sum(x.size for x in jax.tree.leaves(params))
    print(json.dumps({"versions": versions, "parameters": size}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        out = jax.block_until_ready(run(state))
        seconds, state = time.perf_counter() - began, kept(out)
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
