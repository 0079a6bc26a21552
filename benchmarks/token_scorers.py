"""Whether the verifiers of Countdown and of rows of colours agree with those of reasoning-gym, on its own instances.

    python benchmarks/token_scorers.py [--instances 1000]

Needs `pip install reasoning-gym==0.1.25` beside this project. An answer is right for one scorer if and only if it is for the other:
right answers, and the same with a few characters changed. What reasoning-gym gives for answers that are not right differs from
ours, and is not compared. Answers that the two read by different rules are counted apart: it evaluates what sympy can read, signs,
powers and leading zeros among that; ours is the grammar of `jaxrl_envs.token.expressions`.
"""

from __future__ import annotations

import argparse
import re

import jax
import jax.numpy as jnp
import numpy as np
import reasoning_gym

from jaxrl_envs.token import find_task, score
from jaxrl_envs.token.countdown import Game
from jaxrl_envs.token.writing import Written

BEYOND = r"(?:^|[-+*/(])\s*[-+]|\*\*|//|(?<!\d)0\d"
"""What sympy reads and the grammar does not have."""


def changed(rng: np.random.Generator, text: str, marks: str) -> str:
    for _ in range(int(rng.integers(1, 3))):
        at, mark = int(rng.integers(0, len(text))), str(rng.choice(list(marks)))
        text = str(
            rng.choice(
                [text[:at] + mark + text[at:], text[:at] + mark + text[at + 1 :], text[:at] + text[at + 1 :]]
            )
        )
    return text


def ours(name: str, secrets, texts: list[str]) -> np.ndarray:
    """Whether answers are right, as our verifier says; what is no text of tokens is not."""
    task = find_task(name)
    width = max(len(text) for text in texts)
    tokens = np.zeros((len(texts), width), np.int32)
    lengths = np.zeros(len(texts), np.int32)
    for i, text in enumerate(texts):
        read = task.vocabulary.tokens(text)
        tokens[i, : len(read)], lengths[i] = read, len(read)
    one = lambda secret, tokens, length: score(task, secret, tokens, length, task.knobs).success
    return np.asarray(jax.jit(jax.vmap(one))(secrets, tokens, lengths))


def countdown(instances: int, rng: np.random.Generator) -> None:
    data = reasoning_gym.create_dataset("countdown", size=instances, seed=1)
    entries = [data[i] for i in range(instances)]
    right = [entry["metadata"]["expression"].replace(" ", "") for entry in entries]
    texts = [*right, *(changed(rng, text, "0123456789+-*/()") for text in right)]
    texts = [text[:64] for text in texts]
    numbers = np.zeros((instances, 6), np.int32)
    for row, entry in zip(numbers, entries, strict=True):
        row[: len(entry["metadata"]["numbers"])] = entry["metadata"]["numbers"]
    targets = np.asarray([entry["metadata"]["target"] for entry in entries], np.int32)
    game = Game(np.tile(numbers, (2, 1)), np.tile(targets, 2), np.zeros((2 * instances, 5, 3), np.int32))
    mine = ours("countdown", game, texts)
    theirs = np.asarray(
        [data.score_answer(text, entries[i % instances]) == 1.0 for i, text in enumerate(texts)]
    )
    beyond = np.asarray([re.search(BEYOND, text) is not None for text in texts])
    told("countdown", mine, theirs, beyond, texts)


def rows(instances: int, rng: np.random.Generator) -> None:
    data = reasoning_gym.create_dataset("arc_1d", size=instances, seed=1)
    entries = [data[i] for i in range(instances)]
    right = [entry["answer"] for entry in entries]
    texts = [*right, *(changed(rng, text, "0123456789") for text in right)]
    # A row is its cells: how many spaces are between them says nothing.
    cells = [[int(c) for c in re.sub(r"\s", "", text)] for text in texts]
    texts = [" ".join(map(str, row)) for row in cells]
    tokens = np.zeros((instances, max(map(len, cells)) + 2), np.int32)
    for row, answer in zip(tokens, cells, strict=False):
        row[: len(answer)] = np.asarray(answer) + 3
    lengths = np.asarray([len(answer) for answer in cells[:instances]], np.int32)
    mine = ours("arc-1d", Written(jnp.tile(tokens, (2, 1)), jnp.tile(lengths, 2)), texts)
    theirs = np.asarray(
        [data.score_answer(text, entries[i % instances]) == 1.0 for i, text in enumerate(texts)]
    )
    told("arc-1d", mine, theirs, np.zeros(len(texts), bool), texts)


def told(name: str, mine: np.ndarray, theirs: np.ndarray, beyond: np.ndarray, texts: list[str]) -> None:
    other = (mine != theirs) & ~beyond
    print(
        f"{name}: {len(mine)} answers, {int(mine.sum())} right for ours, {int(theirs.sum())} for reasoning-gym; "
        f"{int(other.sum())} otherwise, and {int(((mine != theirs) & beyond).sum())} that the grammar does not have"
    )
    for i in np.flatnonzero(other)[:10]:
        print(f"  {texts[i]!r}: ours {bool(mine[i])}, reasoning-gym {bool(theirs[i])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=1000)
    instances, rng = parser.parse_args().instances, np.random.default_rng(0)
    countdown(instances, rng)
    rows(instances, rng)


if __name__ == "__main__":
    main()
