"""Zebra puzzles: a search in plain Python that reads the prompt finds one solution, and it has the answer."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from token_player import Player

from jaxrl_envs.token.zebra import MOST, VALUES, houses_of


def holds(word, left, right):
    return {
        "in": left == right,
        "with": left == right,
        "left": left + 1 == right,
        "beside": abs(left - right) == 1,
    }[word]


def solutions(houses, clues, most=2):
    """Up to ``most`` ways to place all values, each a dictionary of houses; by search with pruning."""
    kind = {v: a for a, values in VALUES.items() for v in values[:houses]}
    found = []

    def place(domains):
        # Cross out until nothing changes.
        changed = True
        while changed:
            changed = False
            for one, word, other in clues:
                pairs = [
                    (i, j)
                    for i in domains[one]
                    for j in ([int(other[1]) - 1] if other[0] == "#" else domains[other])
                    if holds(word, i, j)
                ]
                for value, kept in ((one, {i for i, _ in pairs}), (other, {j for _, j in pairs})):
                    if value in domains and kept != domains[value]:
                        domains[value], changed = kept, True
            for value, other in itertools.permutations(kind, 2):
                if (
                    kind[value] == kind[other]
                    and len(domains[other]) == 1
                    and domains[value] & domains[other]
                ):
                    domains[value], changed = domains[value] - domains[other], True
            if not all(domains.values()):
                return
        open_values = [v for v in kind if len(domains[v]) > 1]
        if not open_values:
            found.append({v: next(iter(d)) for v, d in domains.items()})
            return
        value = min(open_values, key=lambda v: len(domains[v]))
        for house in sorted(domains[value]):
            if len(found) < most:
                place({**{v: set(d) for v, d in domains.items()}, value: {house}})

    place({value: set(range(houses)) for value in kind})
    return found


def read(prompt):
    houses, *clues, question = " ".join(prompt).removeprefix("<bos> #").removesuffix(" ?").split(" ; ")
    return int(houses), [tuple(clue.split()) for clue in clues], question.split()


@pytest.fixture(scope="module")
def puzzles():
    player = Player("token/zebra")
    answers = [player.names(answer) for answer in player.right]
    return [(*read(prompt), *answer) for prompt, answer in zip(player.prompts, answers, strict=True)]


def test_each_puzzle_has_one_solution_and_it_has_the_answer(puzzles):
    for houses, clues, (first, second), answer in puzzles:
        found = solutions(houses, clues)
        assert len(found) == 1
        if second == "in":
            assert found[0][first] == int(answer[1]) - 1
        else:
            assert answer in VALUES[second] and found[0][answer] == int(first[1]) - 1


def test_clues_are_of_all_kinds_and_none_names_what_is_asked(puzzles):
    assert {houses for houses, *_ in puzzles} == {3, 4, 5, 6}
    words = [word for _, clues, *_ in puzzles for _, word, _ in clues]
    assert words.count("in") == len(puzzles)  # one anchor
    assert min(words.count(word) for word in ("with", "left", "beside")) > 0.1 * len(words)
    assert all(len(clues) == 4 * (houses - 1) for houses, clues, *_ in puzzles)
    without = [solutions(houses, clues[1:]) for houses, clues, *_ in puzzles[:8]]
    assert sum(len(found) > 1 for found in without) > 4  # so the search can tell
    asked = [question[1] == "in" for *_, question, _ in puzzles]
    assert 0.3 < sum(asked) / len(asked) < 0.7
    late = [(clues, first if second == "in" else answer) for _, clues, (first, second), answer in puzzles]
    assert not any(
        value in clue for clues, value in late for clue in clues
    )  # it has to be found by exclusion


def test_equal_numbers_are_different_houses():
    there = jnp.arange(len(VALUES) * MOST) % MOST < 3
    for u in (jnp.full(there.shape, 0.25), jax.random.uniform(jax.random.key(0), there.shape)):
        houses = np.asarray(houses_of(u, there)).reshape(-1, MOST)[:, :3]
        assert (np.sort(houses, 1) == [0, 1, 2]).all()
