"""When does "I don't know" pay? Auto-CEI's curriculum over the reward of refusing, on questions that may be refused.

    python benchmarks/auto_cei.py [--seeds N ...] [--store STORE] [--results RESULTS]

prints a line for each seed and each of its stages, keeps each seed in the store, ``benchmarks/results/auto_cei``, which is left alone if it is there, and makes ``benchmarks/results/auto_cei.md`` of the store. After Zhao et al. 2024 (arXiv 2410.07627), with what its released code does where the paper leaves it open:

- A right answer is worth 1, a wrong one -1, and a refusal after ``L`` steps of working ``tanh(c2 (L - c1) / 2)``: less than 0 if it comes early, more if it comes late.
- *Exploitation* is supervised: sixteen completions of each prompt, as many drawn of them again in proportion to ``exp(reward / temperature)``, those that are not wrong kept and imitated, up to three rounds.
- The *curriculum* is ``c1``: hill climbing on ``f = (1 - lambda) precision + lambda (1 - refused)`` of other prompts, lambda .2, where precision is of what was answered. It begins one step above the mean length
  of refusals; the step is a fifth of the deviation of all lengths, at most a half, and ``c2`` is ``ln 10 / (4 deviation)``.
- It begins with imitation of right answers, then of refusals where the policy answers wrong (R-Tuning).

The questions are those of ``token/refusal``: sums of two or three digits below 5, modulo 5, each digit hidden one time in five. Before all that the policy goes to school, on sums of two digits of which none is hidden, until it knows these: else it would know nothing. So it knows some
answers, could learn others, and can only guess where a digit is hidden. Working is the token ``+``, as many as one likes, before the digits or ``<refuse>``: it says nothing, so length is nothing but length here. This shows the machine and what it optimises, not
that longer reasoning helps, which the paper is about. The outcome is therefore no comparison with other methods, but whether ``c1`` moves what is refused: precision (primary), shares of refusals and ``f`` before and after, over seeds 0 to 4,
on prompts drawn anew, of which the short ones were all met before, since there are few; a change is one if the 95 % interval (Student's) of after less before leaves out zero. Beside it, as many stages with the first ``c1`` *held*, from the same start: what of the change is the climb's. The resampling temperature is the precision before. Schooling and sizes were chosen on a seed that is not reported.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from refusals import STAGES, TRIES, WORKING, Judged, beginning, climb, judge, kept_of, objective

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_envs import Box, Discrete
from jaxrl_envs.token import EOS, PAD
from jaxrl_envs.token.refusal import REFUSE, TASK, WORDS
from jaxrl_evolve import random
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.files import write_whole
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.decoder.generate import generate
from jaxrl_evolve.networks.decoder.sampling import Sampling
from jaxrl_evolve.networks.decoder_config import DecoderConfig
from jaxrl_evolve.networks.table import make_network
from jaxrl_evolve.results.report.text import markdown_table, with_bounds
from jaxrl_evolve.results.statistics import mean_of_pairs
from jaxrl_evolve.storage.provenance import origin

RESULTS = Path(__file__).resolve().parent / "results"

ROUNDS = 3
PROMPT, LIMIT, BATCH = 12, 10, 64
SCHOOL = 2_400
"""Gradient steps on sums of two digits."""
DECODER = DecoderConfig(layers=2, width=32, heads=2, kv_heads=1, mlp=64, context=PROMPT + LIMIT)


class Prompts(NamedTuple):
    """Questions: tokens ``[B, PROMPT]``, their lengths, right answers ``[B, 2]`` with `PAD` behind, whether a term is hidden."""

    tokens: np.ndarray
    lengths: np.ndarray
    answers: np.ndarray
    hidden: np.ndarray


def questions(seed: int, number: int, terms: int = 3, hidden: float = 0.2) -> Prompts:
    """Sums of two digits to ``terms``, each hidden with the probability ``hidden``."""
    key = jax.random.key(seed, impl="threefry2x32")  # as the environment draws them, whatever other keys are
    knobs = TASK.knobs.replace(numbers=np.int32(terms), modulus=np.int32(5), hidden=np.float32(hidden))
    written, secret = jax.device_get(jax.vmap(TASK.draw, (0, None))(jax.random.split(key, number), knobs))
    answers = secret.answer.tokens[:, :2]
    return Prompts(written.tokens[:, :PROMPT], written.length, answers, secret.hides)


NAMES = {
    "precision": "Precision of what is answered",
    "refused": "Refused",
    "refused, hidden": "Refused where a term is hidden",
    "refused, whole": "Refused where none is",
    "f": "$f$",
}
"""What is told of a policy, by what the table calls it."""


def told_of(seen: Judged, hidden: np.ndarray) -> dict[str, float]:
    """What the table tells of a policy's completions ``[B]``."""
    f, precision, refused = objective(seen)
    of = {"hidden": seen.refused[hidden].mean(), "whole": seen.refused[~hidden].mean()}
    return {"f": f, "precision": precision, "refused": refused} | {
        f"refused, {kind}": float(share) for kind, share in of.items()
    }


class Pupil:
    """A decoder that draws completions and imitates some."""

    def __init__(self, key: Any) -> None:
        space = Box((0.0, 0.0), (WORDS.size - 1.0, 1.0), (2,), "int32")
        network = NetworkConfig(kind="decoder", decoder=DECODER)
        self.net = make_network(network, space, Discrete(WORDS.size))
        self.params, self.key, self.adam = self.net.init(key), key, optax.adam(2e-3)
        self.state = self.adam.init(self.params)

    def draw(self, prompts: Prompts) -> np.ndarray:
        """Completions ``[B, LIMIT]``, sampled."""
        self.key, key = jax.random.split(self.key)
        drawn = generate(DECODER, self.params, prompts.tokens, prompts.lengths, Sampling(limit=LIMIT), key)
        return np.asarray(drawn.tokens)

    def imitate(self, prompts: Prompts, said: np.ndarray, steps: int, rng: np.random.Generator) -> None:
        """Gradient steps on the likelihood of completions."""
        whole = np.zeros((len(said), PROMPT + LIMIT), np.int32)
        asked = np.zeros(whole.shape, bool)
        for i, (prompt, length, answer) in enumerate(zip(prompts.tokens, prompts.lengths, said, strict=True)):
            own = answer[answer != PAD]
            whole[i, :length], whole[i, length : length + len(own)] = prompt[:length], own
            asked[i, length - 1 : length - 1 + len(own)] = True
        for _ in range(steps):
            rows = rng.integers(len(said), size=BATCH)
            self.params, self.state = self._step(self.params, self.state, whole[rows], asked[rows])

    @partial(jax.jit, static_argnums=0)
    def _step(self, params: Any, state: Any, whole: Any, asked: Any) -> Any:
        obs = jnp.stack([whole[:, :-1], jnp.ones_like(whole[:, :-1])], -1).swapaxes(0, 1)
        first = jnp.broadcast_to(jnp.arange(obs.shape[0])[:, None] == 0, obs.shape[:2])

        def loss(params: Any) -> Any:
            said = self.net.unroll(params, obs, first, self.net.before_any(len(whole)))[0]
            mask = asked[:, :-1].T
            return -(said.log_prob(whole[:, 1:].T) * mask).sum() / mask.sum()

        moves, state = self.adam.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, moves), state


def solutions(prompts: Prompts, refuse: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Working of any length, then the right answer, or a refusal where ``refuse`` says so: ``[B, LIMIT]``."""
    said = np.full((len(refuse), LIMIT), PAD, np.int32)
    for i, (answer, no) in enumerate(zip(prompts.answers, refuse, strict=True)):
        end = [REFUSE] if no else list(answer[answer != PAD])
        own = [WORKING] * int(rng.integers(0, LIMIT - 3)) + end + [EOS]
        said[i, : len(own)] = own
    return said


class Reached(NamedTuple):
    """The best of a stage: its ``c1``, `objective` on other prompts, parameters and Adam's state."""

    c1: float
    told: tuple[float, float, float]
    held: tuple[Any, Any]


class Stages:
    """Supervised rounds with a ``c1``, from the best that any stage before reached, as the released code goes on from its best."""

    def __init__(
        self, pupil: Pupil, learned: Prompts, other: Prompts, c2: float, steps: int, rng: np.random.Generator
    ) -> None:
        self.pupil, self.other, self.steps, self.rng = pupil, other, steps, rng
        self.repeated, self.c2 = Prompts(*(np.repeat(x, TRIES, 0) for x in learned)), c2
        self.start = Reached(math.nan, self._now(), (pupil.params, pupil.state))
        self.temperature, self.reached = self.start.told[1], list[Reached]()

    def best(self) -> Reached:
        """Of all stages, or the start."""
        return max(self.reached, key=lambda one: one.told[0], default=self.start)

    def __call__(self, c1: float) -> float:
        pupil, rounds = self.pupil, list[Reached]()
        pupil.params, pupil.state = self.best().held
        for _ in range(ROUNDS):
            drawn = pupil.draw(self.repeated)
            seen = judge(drawn, self.repeated.answers)
            rows = kept_of(seen, c1, self.c2, self.temperature, self.rng)
            if rows.size:  # else there is nothing to imitate
                pupil.imitate(Prompts(*(x[rows] for x in self.repeated)), drawn[rows], self.steps, self.rng)
            rounds.append(Reached(c1, self._now(), (pupil.params, pupil.state)))
        self.reached.append(max(rounds, key=lambda one: one.told[0]))
        f, precision, refused = self.reached[-1].told
        print(f"  c1 {c1:.2f}: f {f:.3f}, precision {precision:.3f}, refused {refused:.3f}", flush=True)
        return f

    def _now(self) -> tuple[float, float, float]:
        return objective(judge(self.pupil.draw(self.other), self.other.answers))


def schooled(seed: int, learned: Prompts, steps: int, school: int, rng: np.random.Generator) -> Pupil:
    """A policy that knows short sums, has imitated right answers, and then refusals where it was wrong."""
    pupil, short = Pupil(random.key(seed)), questions(20_000 + seed, 4 * len(learned.hidden), 2, 0.0)
    pupil.imitate(short, solutions(short, np.zeros(len(short.hidden), bool), rng), school, rng)
    pupil.imitate(learned, solutions(learned, np.zeros(len(learned.hidden), bool), rng), 4 * steps, rng)
    wrong = ~judge(pupil.draw(learned), learned.answers).right
    pupil.imitate(learned, solutions(learned, wrong, rng), steps, rng)
    return pupil


def run(seed: int, prompts: int, steps: int = 100, stages: int = STAGES, school: int = SCHOOL) -> dict[str, Any]:  # fmt: skip
    """One seed: before, after the climb, after as many stages without one, and every stage."""
    rng = np.random.default_rng(seed)
    learned, other = questions(2 * seed, prompts), questions(2 * seed + 1, prompts)
    pupil = schooled(seed, learned, steps, school, rng)
    first = judge(pupil.draw(other), other.answers)
    c1, step, c2 = beginning(first.working, first.refused)
    climbing = Stages(pupil, learned, other, c2, steps, rng)
    start = climbing.start
    print(
        f"seed {seed}: precision {start.told[1]:.3f}, refused {start.told[2]:.3f}; c1 {c1:.2f}, c2 {c2:.2f}",
        flush=True,
    )
    climb(climbing, c1, step, stages)
    pupil.params, pupil.state = start.held
    holding = Stages(pupil, learned, other, c2, steps, rng)
    for _ in climbing.reached:
        holding(c1)
    # What was chosen by the other prompts is judged by new draws.
    new, judged = questions(10_000 + seed, 4 * prompts), {}
    best = climbing.best()
    for when, held in {"before": start.held, "after": best.held, "held": holding.best().held}.items():
        pupil.params, pupil.state = held
        judged[when] = told_of(judge(pupil.draw(new), new.answers), np.asarray(new.hidden))
    tell = lambda one: {"c1": one.c1, **dict(zip(("f", "precision", "refused"), one.told, strict=True))}
    tried = {"stages": [tell(one) for one in climbing.reached], "held_stages": [tell(one) for one in holding.reached]}  # fmt: skip
    return {"seed": seed, "first": c1, "best": best.c1, "c2": c2, **judged, **tried}


def page(rows: Sequence[dict[str, Any]]) -> str:
    """``auto_cei.md`` of seeds."""
    lines = []
    for key, name in NAMES.items():
        before, after, held = ([row[when][key] for row in rows] for when in ("before", "after", "held"))
        gap = lambda than, after=after: with_bounds(mean_of_pairs(np.subtract(after, than).tolist()))
        means = [f"{np.mean(each):.3f}" for each in (before, after, held)]
        lines.append([name, *means[:2], gap(before), means[2], gap(held)])
    climbs = [[row["seed"], f"{row['first']:.2f}", f"{row['best']:.2f}", len(row["stages"])] for row in rows]
    said = lambda key: "; ".join(sorted({str(row[key]) for row in rows}))
    seconds = sum(row["seconds"] for row in rows)
    parts = [
        "# A curriculum over the reward of refusing",
        "\n\n".join((__doc__ or "").split("\n\n")[4:]).strip(),
        markdown_table(
            ["On new prompts", "Before", "After", "After less before", "$c_1$ held", "After less held"], lines
        ),
        f"Seeds: {', '.join(str(row['seed']) for row in rows)}.",
        markdown_table(["Seed", "First $c_1$", "Best $c_1$", "Stages"], climbs),
        f"Hardware: {said('device')}, {said('cores')} cores; {seconds:,.0f} s together. Commits: {said('commit')}.",
        "Command: `python benchmarks/auto_cei.py`.",
    ]
    return "\n\n".join(parts) + "\n"


def main(words: Sequence[str] | None = None) -> None:
    """Run the seeds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], metavar="N")
    parser.add_argument("--prompts", type=int, default=512)
    parser.add_argument("--store", type=Path, default=RESULTS / "auto_cei")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    use_compilation_cache()
    given.store.mkdir(parents=True, exist_ok=True)
    for seed in given.seeds:
        kept = given.store / f"{seed}.json"
        if not kept.exists():
            began = time.perf_counter()
            row = run(seed, given.prompts)
            row |= {"prompts": given.prompts, "seconds": time.perf_counter() - began, **origin()}
            write_whole(kept, f"{json.dumps(row, indent=1)}\n".encode())
    rows = [json.loads(kept.read_text(encoding="utf-8")) for kept in sorted(given.store.glob("*.json"))]
    (given.results / "auto_cei.md").write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
