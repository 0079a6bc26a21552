"""What completions and their training cost: beside Hugging Face's ``generate``, beside the products alone, beside one gradient, and seeds side by side.

    python benchmarks/sequence_speed.py [--peer-python PYTHON] [--batches N ...] [--repeats N] [--size small|tiny]

writes ``benchmarks/results/sequence_speed.md`` and ``.csv``. Run it on an idle machine. What was written down before it was run:

- **Completions.** `generate` draws 48 tokens each after prompts of 16, in batches of 1, 8 and 64, without an end, the most probable token each time. Beside it, in turn, the *products alone*: the
  same matrices times as many rows, once for each token, without attention, normalisation, memory or choice. ``--peer-python`` is an interpreter of an environment with torch and
  transformers; there Hugging Face's ``generate`` draws with its cache by the same weights (it makes them), on as many threads, half of its times before ours and half after. The bar: no slower than it at any batch. Added after the first run, and stricter: at 64 at most two thirds of its time.
- **Training.** One update of GRPO, as training compiles it, beside one gradient of the mean log-probability of the same rollout, in turn. The bar: at most 1.2 times as long.
- **Seeds.** The same update for four seeds by `vmap`, beside one, over four times that one. The bar: at most 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

# One device with all threads: completions of one batch are one program, as Hugging Face's are.
import jax
import jax.numpy as jnp
import numpy as np
from learning import RESULTS, hardware
from timing import Timed, in_turn

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_envs import Box, Discrete, make
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import random
from jaxrl_evolve.algorithms.sequence import sequence_preset
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.learners.learner import Learner, traced
from jaxrl_evolve.learners.sequence import sequence
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.decoder.generate import generate
from jaxrl_evolve.networks.decoder.pretrained import load_pretrained
from jaxrl_evolve.networks.decoder.sampling import Sampling
from jaxrl_evolve.networks.decoder_config import DecoderConfig
from jaxrl_evolve.networks.table import make_network
from jaxrl_evolve.results.report.text import csv_text, markdown_table
from jaxrl_evolve.runs.rollout import rollout
from jaxrl_evolve.storage.provenance import provenance

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / "benchmarks" / "sequence_speed_peer.py"
VOCABULARY, PROMPT, LIMIT, SEEDS = 512, 16, 48, 4
SIZES = {
    "small": DecoderConfig(layers=4, width=256, heads=8, kv_heads=4, mlp=512, context=64, tied=False),
    "tiny": DecoderConfig(layers=1, width=16, heads=2, kv_heads=1, mlp=32, context=64, tied=False),
}
COLUMNS = ("case", "what", "seconds", "ratio", "ratio_low", "ratio_high")
Row = dict[str, Any]


def row(case: str, what: str, seconds: Sequence[float], ours: Sequence[float]) -> Row:
    """Median seconds, and how often they go into ours: of repeats in turn, or where lengths differ of medians."""
    if len(seconds) == len(ours):
        ratios = [mine / other for mine, other in zip(ours, seconds, strict=True)]
    else:
        ratios = [statistics.median(ours) / statistics.median(seconds)]
    numbers = (statistics.median(seconds), statistics.median(ratios), min(ratios), max(ratios))
    return dict(zip(COLUMNS, (case, what, *numbers), strict=True))


def products(config: DecoderConfig, params: Any, batch: int, key: Any) -> Timed:
    """The products of matrices that drawing `LIMIT` tokens of ``batch`` completions needs, and nothing else."""
    c, shape = config, jax.random.normal
    queries, keys = c.heads * c.head_size, 2 * c.kv_heads * c.head_size
    sizes = [(c.width, queries + keys), (queries, c.width), (c.width, 2 * c.mlp), (c.mlp, c.width)]
    made = lambda layer: [shape(jax.random.fold_in(key, 4 * layer + i), size) for i, size in enumerate(sizes)]
    drawn = [made(layer) for layer in range(c.layers)]
    last = shape(key, (c.width, params["params"]["embedding"].shape[0]))

    def block(x: Any, layer: Any) -> Any:
        first, out, wide, narrow = layer
        x = (x @ first)[:, :queries] @ out
        return 1e-3 * ((x @ wide)[:, : c.mlp] @ narrow)

    def go(state: Any) -> Any:
        x, layers, last = state

        def token(i: Any, x: Any) -> Any:
            del i
            for layer in layers:
                x = block(x, layer)
            return x + 1e-6 * (x @ last).max(-1, keepdims=True)  # what is not used would not be computed

        return jax.lax.fori_loop(0, LIMIT, token, x), layers, last

    return Timed(jax.jit(go), (shape(key, (batch, c.width)), drawn, last))


def peer_makes(python: str, config: DecoderConfig, folder: Path) -> None:
    """The weights of both, in a folder."""
    c = config
    shape = {
        "vocab_size": VOCABULARY, "hidden_size": c.width, "num_hidden_layers": c.layers, "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads, "head_dim": c.head_size, "intermediate_size": c.mlp,
        "max_position_embeddings": c.context, "rms_norm_eps": c.epsilon, "tie_word_embeddings": c.tied,
    }  # fmt: skip
    subprocess.run([python, str(PEER), "make", str(folder), json.dumps(shape)], check=True)


def peer_draws(python: str, folder: Path, prompts: Any, repeats: int) -> dict[str, Any]:
    """Seconds and tokens of Hugging Face's."""
    threads = len(os.sched_getaffinity(0))
    words = ["time", str(folder), json.dumps(prompts.tolist()), str(LIMIT), str(threads), str(repeats)]
    done = subprocess.run([python, str(PEER), *words], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def completions(config: DecoderConfig, batches: Sequence[int], repeats: int, peer: str | None) -> list[Row]:
    """Of each batch: ours, the products alone, and Hugging Face's."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if peer is None:
            space = Box((0.0, 0.0), (VOCABULARY - 1.0, 1.0), (2,), "int32")
            net = make_network(NetworkConfig(kind="decoder", decoder=config), space, Discrete(VOCABULARY))
            params = net.init(random.key(0))
        else:
            peer_makes(peer, config, folder)
            params = load_pretrained(folder, context=config.context).params
        sampling = Sampling(limit=LIMIT, temperature=0.0)
        for batch in batches:
            prompts = np.random.default_rng(batch).integers(2, VOCABULARY, (batch, PROMPT))
            lengths = jnp.full((batch,), PROMPT, jnp.int32)
            draws = lambda p=prompts: peer_draws(cast(str, peer), folder, p, repeats)
            before = None if peer is None else draws()
            go = lambda key, p=prompts, n=lengths: generate(config, params, p, n, sampling, key)
            draw = Timed(lambda key, go=go: (jax.block_until_ready(go(key)), key)[1], random.key(0))
            found = in_turn(
                {"ours": draw, "products": products(config, params, batch, random.key(1))}, repeats
            )
            case, drawn = f"batch of {batch}", go(random.key(0))
            rows.append(row(case, "ours", found["ours"], found["ours"]))
            rows.append(row(case, "products alone", found["products"], found["ours"]))
            if before is not None:
                same = float((np.asarray(before["tokens"]) == np.asarray(drawn.tokens)).mean())
                print(f"{case}: {same:.1%} of the tokens are the same", flush=True)
                theirs = [*before["seconds"], *draws()["seconds"]]
                rows.append(row(case, "Hugging Face", theirs, found["ours"]))
    return rows


class Learning(NamedTuple):
    """GRPO on sums: the update, its gradient alone, and what both read."""

    learner: Learner
    network: Any
    state: Any
    trajectory: Any


def learning(config: DecoderConfig, envs: int) -> Learning:
    """A learner, and one rollout of it."""
    env, length = make("token/sum-mod"), 32
    preset = sequence_preset("grpo", env.name).config
    network = NetworkConfig(kind="decoder", decoder=config)
    learner = sequence(env, envs, length, dataclasses.replace(preset, network=network))
    venv = vectorize(env, envs)

    def begin(key: Any) -> tuple[Any, Any]:
        one, two, three = jax.random.split(key, 3)
        state, memory = learner.init(one, traced(learner.default_hp)), learner.initial_memory(envs)
        seen = rollout(two, learner, state, venv, venv.reset(three, env.params), memory, env.params, length)
        return state, seen[2]

    net = make_network(network, env.observation_space, env.action_space)
    return Learning(learner, net, *jax.jit(begin)(random.key(0)))


def training(config: DecoderConfig, envs: int, repeats: int) -> list[Row]:
    """An update beside a gradient, and `SEEDS` updates side by side beside one."""
    learner, net, state, t = learning(config, envs)
    hp, clock = traced(learner.default_hp), Clock.at(0.0, 1e9)

    # The rollout is an argument: as a constant it would be folded into the program.
    def update(state: Any, t: Any) -> Any:
        return cast(Any, learner.update)(random.key(1), state, t, hp, (), clock)[0]

    def gradient(params: Any, t: Any) -> Any:
        def loss(params: Any) -> Any:
            said = net.unroll(params, t.obs, t.first, net.initial_memory(envs))[0]
            return said.log_prob(t.action).mean()

        # A step of next to no length, so that the next call is of what this one made.
        return jax.tree.map(lambda p, g: p - 1e-9 * g, params, jax.grad(loss)(params))

    def on(function: Any) -> Any:
        go = jax.jit(function)
        return lambda state: go(state, t)

    seeds = jax.tree.map(lambda x: jnp.stack([x] * SEEDS), state)
    programs = {
        "update": Timed(on(update), state),
        "gradient": Timed(on(gradient), state.params),
        "seeds": Timed(on(jax.vmap(update, (0, None))), seeds),
    }
    found = in_turn(programs, repeats)
    case, alone = f"training, {envs} completions", [SEEDS * x for x in found["update"]]
    return [
        row(case, "update", found["update"], found["update"]),
        row(case, "one gradient", found["gradient"], found["update"]),
        row(case, f"{SEEDS} updates in turn", alone, found["seeds"]),
    ]


def markdown(rows: Sequence[Row], config: DecoderConfig, command: str) -> str:
    """The page."""
    lines = []
    for each in rows:
        batch = int(each["case"].split()[-1]) if each["case"].startswith("batch") else 0
        rate = f"{batch * LIMIT / each['seconds']:,.0f}" if batch else ""
        mine = each["what"] in ("ours", "update")
        low, high = each["ratio_low"], each["ratio_high"]
        spread = f"{each['ratio']:.2f}" + (f" ({low:.2f} to {high:.2f})" if low < high else "")
        lines.append(
            [each["case"], each["what"], f"{1e3 * each['seconds']:.2f}", rate, "" if mine else spread]
        )
    header = ["Case", "What", "Milliseconds", "Tokens a second", "Ours over it"]
    shape = ", ".join(
        f"{name} {getattr(config, name)}" for name in ("layers", "width", "heads", "kv_heads", "mlp")
    )
    parts = [
        "# Speed of sequences",
        (__doc__ or "").split("written down before it was run:\n\n")[1].strip(),
        f"A decoder with {shape}, {VOCABULARY} tokens. The last column, of seeds side by side, is {SEEDS} of them over as many in turn. With repeats in turn it is the median, least and greatest of ratios, turn by turn; beside Hugging Face, in a process of its own, of medians.",
        markdown_table(header, lines),
        f"Hardware: `{hardware(provenance()['device'])}`, {len(os.sched_getaffinity(0))} threads. Date: {datetime.date.today()}. `{command}`.",
    ]
    return "\n\n".join(parts) + "\n"


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", default=None, help="interpreter with torch and transformers")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 64], metavar="N")
    parser.add_argument("--envs", type=int, default=64, help="completions of an update")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    config = SIZES[given.size]
    rows = completions(config, given.batches, given.repeats, given.peer_python)
    rows += training(config, given.envs, given.repeats)
    command = f"python benchmarks/sequence_speed.py{' --peer-python PYTHON' if given.peer_python else ''}"
    text = markdown(rows, config, command)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "sequence_speed.md").write_text(text, encoding="utf-8")
    table = csv_text(list(COLUMNS), [[each[name] for name in COLUMNS] for each in rows])
    (given.out / "sequence_speed.csv").write_text(table, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
