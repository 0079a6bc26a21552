"""The level buffer against a slow one of lists, and its draws against closed forms."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_evolve import random
from jaxrl_evolve.curricula import level_buffer
from jaxrl_evolve.curricula.level_buffer import (
    NEW,
    BufferConfig,
    LevelBuffer,
    sample_levels,
    update_buffer,
)
from jaxrl_evolve.curricula.level_hash import hash_levels

CAPACITY, ENTRIES = 6, 4


class SlowBuffer:
    """One level after the other, in Python."""

    def __init__(self) -> None:
        self.slots: list[dict[str, Any] | None] = [None] * CAPACITY
        self.updates = self.unused = 0

    def update(self, numbers: Any, levels: Any, scores: Any, valid: Any) -> None:
        self.updates += 1
        entries: list[dict[str, Any]] = []
        for number, level, score, counts in zip(numbers, levels, scores, valid, strict=True):
            if not counts:
                continue
            same = [e for e in entries if number != NEW and e["number"] == number]
            if not same:
                same = [{"number": number, "level": level, "scores": []}]
                entries.append(same[0])
            if np.isfinite(score):
                same[0]["scores"].append(score)
        there = {slot["number"]: slot for slot in self.slots if slot}
        candidates = []
        for entry in entries:
            if not entry["scores"]:  # visited, and no wiser
                if entry["number"] in there:
                    there[entry["number"]]["at"] = self.updates
                continue
            score = np.float32(np.sum(entry["scores"], dtype=np.float32) / np.float32(len(entry["scores"])))
            if entry["number"] in there:
                there[entry["number"]] |= {"score": score, "at": self.updates}
            else:
                candidates.append({"number": entry["number"], "level": entry["level"], "score": score})
        started = self.unused
        for i, candidate in enumerate(sorted(candidates, key=lambda c: -c["score"])):
            lowest = min(range(CAPACITY), key=lambda j: self.slots[j]["score"] if self.slots[j] else -np.inf)
            held = self.slots[lowest]
            if held is not None and candidate["score"] <= held["score"]:
                continue
            number = started + i if candidate["number"] == NEW else candidate["number"]
            self.slots[lowest] = {**candidate, "number": number, "at": self.updates}
            self.unused += 1


def level_of(tag: int) -> Any:
    return {"size": np.int32(tag), "walls": np.full((2, 3), tag, np.float32)}


update, init_buffer = jax.jit(update_buffer), jax.jit(level_buffer.init_buffer, static_argnums=0)
log_weights = program(level_buffer.log_weights, "config")
split = jax.jit(jax.random.split, static_argnums=1)


def stack(levels: list[Any]) -> Any:
    return jax.tree.map(lambda *x: np.stack(x), *levels)


def test_updates_are_those_of_a_slow_buffer():
    """Regression: filled slots, new levels and their scores keep apart, whatever comes in whichever order."""
    rng = np.random.default_rng(0)
    buffer, slow = init_buffer(BufferConfig(capacity=CAPACITY), level_of(0)), SlowBuffer()
    tags, returned = {}, 0
    for tag in range(0, 400, ENTRIES):
        known = [slot["number"] for slot in slow.slots if slot]
        lost = [n for n in tags if n not in known]
        numbers = [int(rng.choice([NEW, *known, *lost[-2:]])) for _ in range(ENTRIES)]
        if tag % 3 == 0:
            numbers[1] = numbers[0]  # twice in one update
        levels = [level_of(tags.get(n, tag + i)) for i, n in enumerate(numbers)]
        # Few different scores, so that there are ties; they rise, so that there are insertions.
        scores = rng.integers(-3, 4, ENTRIES).astype(np.float32) + tag // 100
        scores[rng.random(ENTRIES) < 0.1] = np.nan
        valid = rng.random(ENTRIES) < 0.9
        returned += sum(n in lost for n in numbers)
        buffer = update(buffer, np.asarray(numbers, np.int32), stack(levels), scores, valid)
        slow.update(numbers, [int(x["size"]) for x in levels], scores, valid)
        tags |= {slot["number"]: slot["level"] for slot in slow.slots if slot}
        fast, filled = jax.device_get((buffer, buffer.filled))
        for i, slot in enumerate(slow.slots):
            assert filled[i] == (slot is not None)
            if slot:
                assert int(fast.numbers[i]) == slot["number"]
                assert float(fast.scores[i]) == slot["score"]
                assert int(fast.scored_at[i]) == slot["at"]
                assert int(fast.levels["size"][i]) == slot["level"]
                np.testing.assert_array_equal(fast.levels["walls"][i], float(slot["level"]))
        assert int(fast.unused) == slow.unused
        assert np.unique(fast.numbers[filled]).size == filled.sum()
    assert slow.unused > 3 * CAPACITY and returned > 5


@pytest.fixture(scope="module")
def five() -> LevelBuffer:
    """Slots 0 to 4 filled with scores of different age, slot 5 empty."""
    buffer = init_buffer(BufferConfig(capacity=CAPACITY), level_of(0))
    only = np.arange(ENTRIES) == 0
    for tag, score in enumerate([0.5, -2.0, 9.0, 1.0, 0.0]):
        levels = stack([level_of(tag)] * ENTRIES)
        buffer = update(
            buffer, np.full((ENTRIES,), NEW), levels, np.full((ENTRIES,), score, np.float32), only
        )
    return buffer


@pytest.mark.parametrize(("temperature", "staleness"), [(1.0, 0.0), (0.02, 0.0), (0.5, 0.3), (1.0, 1.0)])
def test_weights_are_those_of_ranks_and_ages(five: LevelBuffer, temperature: float, staleness: float):
    config = BufferConfig(CAPACITY, temperature=temperature, staleness=staleness)
    ranks, ages = np.array([3.0, 5, 1, 2, 4]), np.array([4.0, 3, 2, 1, 0])
    by_rank = ranks ** (-1.0 / temperature)
    expected = (1 - staleness) * by_rank / by_rank.sum() + staleness * ages / ages.sum()
    found = np.exp(log_weights(config, five))
    np.testing.assert_allclose(found[:5], expected, rtol=1e-5, atol=1e-30)
    assert found[5] == 0.0


@functools.partial(jax.jit, static_argnums=0)
def sample(config: BufferConfig, keys: Any, buffer: LevelBuffer, wanted: Any, occupied: Any) -> Any:
    return jax.vmap(lambda key: sample_levels(config, key, buffer, wanted, occupied))(keys)


def draws(config: BufferConfig, buffer: LevelBuffer, wanted: Any, occupied: Any = (NEW,) * 4) -> Any:
    keys = split(random.key(3), 4000)
    drawn = jax.device_get(sample(config, keys, buffer, np.asarray(wanted), np.asarray(occupied, np.int32)))
    assert ((drawn.numbers == NEW) | (drawn.numbers == drawn.levels["size"])).all()
    return drawn.numbers


def test_draws_follow_the_weights_whoever_wants_one(five: LevelBuffer):
    config = BufferConfig(CAPACITY, replay_probability=1.0, temperature=0.7)
    weights = np.exp(log_weights(config, five))[:5]
    numbers = draws(config, five, [False, False, True])
    assert (numbers[:, :2] == NEW).all()
    found = np.bincount(numbers[:, 2], minlength=5) / len(numbers)
    np.testing.assert_allclose(found, weights, atol=4 * np.sqrt(0.25 / len(numbers)))


def test_no_level_is_dealt_twice_and_empty_or_occupied_ones_never(five: LevelBuffer):
    everyone = BufferConfig(CAPACITY, replay_probability=1.0)
    # Eight want one of five, two of which are occupied.
    numbers = draws(everyone, five, [True] * 8, occupied=(NEW, 2, 4, 77))
    np.testing.assert_array_equal(np.sort(numbers), [[NEW] * 5 + [0, 1, 3]] * len(numbers))
    empty = init_buffer(everyone, level_of(0))
    assert (draws(everyone, empty, [True] * 8) == NEW).all()


@pytest.mark.parametrize(("min_fill", "share"), [(0.8, 0.5), (0.9, 0.0)])
def test_a_share_of_draws_replays_once_the_buffer_is_filled_enough(
    five: LevelBuffer, min_fill: float, share: float
):
    numbers = draws(BufferConfig(CAPACITY, replay_probability=0.5, min_fill=min_fill), five, [True])
    assert abs((numbers != NEW).mean() - share) < (0.04 if share else 1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"capacity": 0}, "capacity is 0; it must be a whole number of at least 1"),
        ({"replay_probability": 1.5}, "replay_probability is 1.5; it must lie between 0 and 1"),
        ({"temperature": 0.0}, "temperature is 0.0; it must be above 0"),
    ],
)
def test_bad_settings_are_one_sentence(changes: Any, message: str):
    with pytest.raises(ValueError, match=message):
        BufferConfig(**changes)


def test_ranks_concentrate_as_they_do_in_the_literature():
    """Temperature 0.3 over 4,000 levels: the best one has 87 % of the draws, the ten best have nearly all."""
    config = BufferConfig(4_000, temperature=0.3)
    scores = np.random.default_rng(1).permutation(4_000).astype(np.float32)
    held = jax.device_put({"numbers": np.arange(4_000, dtype=np.int32), "scores": scores})
    buffer = init_buffer(config, np.float32(0)).replace(**held)
    weights = np.sort(np.exp(log_weights(config, buffer)))[::-1]
    np.testing.assert_allclose([weights[0], weights[:10].sum()], [0.872, 0.998], atol=5e-4)


def test_weights_by_score_and_among_the_highest(five: LevelBuffer):
    """Scores 0.5, -2, 9, 1, 0."""
    root = np.array([np.sqrt(0.5), 0.0, 3.0, 1.0, 0.0, 0.0])
    by_score = BufferConfig(CAPACITY, prioritisation="proportional", temperature=2.0)
    np.testing.assert_allclose(np.exp(log_weights(by_score, five)), root / root.sum(), rtol=1e-5)
    below = five.replace(scores=jax.device_put(np.where(np.asarray(five.filled), np.float32(-1), -np.inf)))
    np.testing.assert_allclose(np.exp(log_weights(by_score, below)), [0.2] * 5 + [0.0], rtol=1e-5)
    highest = BufferConfig(CAPACITY, prioritisation="top-k", top=2)
    np.testing.assert_allclose(np.exp(log_weights(highest, five)), [0, 0, 0.5, 0.5, 0, 0], rtol=1e-5)


def test_a_level_may_be_drawn_again_if_repeats_are_allowed(five: LevelBuffer):
    config = BufferConfig(CAPACITY, replay_probability=1.0, temperature=0.7, repeats=True)
    numbers = draws(config, five, [True] * 8)
    found = np.bincount(numbers.ravel(), minlength=6) / numbers.size
    np.testing.assert_allclose(found[:5], np.exp(log_weights(config, five))[:5], atol=0.02)
    assert found[5] == 0.0 and any(len(set(row)) < 8 for row in numbers.tolist())
    assert (draws(config, init_buffer(config, level_of(0)), [True] * 3) == NEW).all()


@pytest.mark.parametrize(("capacity", "entries"), [(6, 4), (3, 7), (1, 2)])
def test_unique_levels_are_the_best_there_were_each_once_with_what_is_known_of_them(
    capacity: int, entries: int
):
    """Against a dictionary, with the same levels again and again, numbered or not, and scores that are none."""
    rng = np.random.default_rng(capacity)
    buffer = init_buffer(BufferConfig(capacity, unique=True), level_of(0), {"tag": np.float32(-1)})
    known: dict[int, float] = {}
    for _ in range(30):
        tags = rng.integers(0, 40, entries)
        fast = jax.device_get(buffer)
        there = {int(t): int(n) for t, n in zip(fast.levels["size"], fast.numbers, strict=True) if n >= 0}
        assert there.keys() == known.keys()
        numbers = [there[t] if t in there and rng.random() < 0.5 else NEW for t in tags]
        # A score of a level's own, so that those that come twice agree.
        score_of = dict(zip(range(40), rng.normal(size=40).astype(np.float32), strict=True))
        none = rng.choice([np.nan, np.inf, -np.inf])
        scores = np.array([none if t % 7 == 0 else score_of[t] for t in tags], np.float32)
        valid = rng.random(entries) < 0.9
        levels, extras = stack([level_of(t) for t in tags]), {"tag": tags.astype(np.float32)}
        buffer = update(buffer, np.asarray(numbers, np.int32), levels, scores, valid, extras)
        new = {int(t): float(score_of[t]) for t, v in zip(tags, valid, strict=True) if v and t % 7}
        known |= {t: s for t, s in new.items() if t in known}
        for tag, score in sorted(((t, s) for t, s in new.items() if t not in known), key=lambda x: -x[1]):
            if len(known) == capacity:
                lowest = min(known, key=lambda t: known[t])
                if score <= known[lowest]:
                    continue
                del known[lowest]
            known[tag] = score
        fast = jax.device_get(buffer)
        filled = fast.numbers >= 0
        found = dict(zip(fast.levels["size"][filled].tolist(), fast.scores[filled].tolist(), strict=True))
        assert found == pytest.approx(known, rel=1e-6)
        np.testing.assert_array_equal(fast.extras["tag"][filled], fast.levels["size"][filled])


def test_what_is_known_of_a_level_grows_with_visits_that_give_no_score():
    """One of which too little is known for a score keeps the old one; else it would be too little for ever."""
    buffer = init_buffer(BufferConfig(3, unique=True), level_of(0), {"seen": np.float32(0)})
    one, both = np.array([True, False]), np.array([True, True])
    come = lambda buffer, tags, scores, seen, valid: update(
        *(buffer, np.full(2, NEW), stack([level_of(t) for t in tags])),
        *(np.float32(scores), valid, {"seen": np.float32(seen)}),
    )
    buffer = come(buffer, (7, 8), (0.25, 0.5), (2, 2), both)
    buffer = come(buffer, (7, 9), (np.nan, np.nan), (1.5, 1), both)
    assert (buffer.scores[:2].tolist(), buffer.scored_at[:2].tolist()) == ([0.5, 0.25], [1, 2])
    assert buffer.extras["seen"].tolist() == [2.0, 1.5, 0.0]
    assert buffer.filled.tolist() == [True, True, False]  # without a score nothing gets in
    # Of one that comes twice in an update, with and without a score, the score counts and what is known with it.
    buffer = come(buffer, (8, 8), (np.inf, 0.75), (3, 4), both)
    assert (float(buffer.scores[0]), float(buffer.extras["seen"][0]), int(buffer.scored_at[0])) == (
        0.75,
        4.0,
        3,
    )
    buffer = come(buffer, (7, 8), (np.nan, 0.1), (9, 9), one & False)
    assert buffer.scored_at[:2].tolist() == [3, 2]


def test_hashes_tell_levels_apart_by_every_number_and_place():
    base = {
        "flag": np.zeros(9, bool),
        "half": np.zeros(2, np.float16),
        "x": np.zeros(3, np.float32),
        "y": np.int8(0),
    }
    levels = [base]
    for name, leaf in base.items():
        for i in range(leaf.size):
            other = {k: np.array(v) for k, v in base.items()}
            other[name].reshape(-1)[i] = 1
            levels.append(other)
    words = np.asarray(jax.jit(hash_levels)(stack([*levels, base])))
    assert (words[-1] == words[0]).all()
    assert len({*map(tuple, words.tolist())}) == len(levels)
    assert len({*words[:, 0].tolist()}) == len({*words[:, 1].tolist()}) == len(levels)


def test_levels_with_one_hash_count_as_one(monkeypatch: pytest.MonkeyPatch):
    """A collision, which has a probability of 2^-64: the first one stays, and takes over the score."""
    monkeypatch.setattr(level_buffer, "hash_levels", lambda levels: jnp.ones((2, 2), jnp.uint32))
    buffer = init_buffer(BufferConfig(4, unique=True), level_of(0))
    collide = jax.jit(lambda *given: update_buffer(*given))  # traced anew, with that hash
    for tags, scores in (((3, 5), (1.0, 1.0)), ((7, 9), (2.0, 4.0))):
        levels = stack([level_of(t) for t in tags])
        buffer = collide(buffer, np.full(2, NEW), levels, np.float32(scores), np.ones(2, bool))
    assert int(np.asarray(buffer.filled).sum()) == 1
    assert (int(buffer.levels["size"][0]), float(buffer.scores[0])) == (3, 3.0)
