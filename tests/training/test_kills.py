"""A run that is killed at any moment, again and again, ends as the uninterrupted one, bit for bit."""

import random
import signal
import time

import mortal
import numpy as np
import pytest
from forked import server
from same import assert_same_run

from jaxrl_evolve.storage.sinks import read_jsonl
from jaxrl_evolve.storage.steps import entries


class Life:
    """A process that trains; it may end itself at a moment of its own."""

    def __init__(self, kind, out, shared, step=None, moment=0):
        context = server()
        self.moments, self.rows = (context.Value("i", 0, lock=False) for _ in range(2))
        self.child = context.Process(
            target=mortal.live, args=(kind, out, shared, step, moment, self.moments, self.rows)
        )
        self.child.start()

    def end(self):
        self.child.join()
        return self.child.exitcode


def steps_of(out):
    return sorted({step for step, _ in entries(out / "checkpoints")})


def assert_rows_are_there(kind, out):
    """A checkpoint that counts has its rows."""
    made = [row[mortal.COUNT[kind]] for row in read_jsonl(out / "metrics.jsonl")] if steps_of(out) else []
    made = made[made[:1] == [0] :]  # a meta-training's curve begins before its first generation
    assert made[: max(steps_of(out), default=0)] == list(range(1, max(steps_of(out), default=0) + 1))


@pytest.mark.timeout(1800)  # half a minute alone on a machine, minutes on a busy one
@pytest.mark.parametrize("kind", mortal.COUNT)
@pytest.mark.parametrize("times", [9, pytest.param(70, marks=pytest.mark.slow)])
@pytest.mark.core("9-ppo")
def test_killed_at_random_moments(times, kind, tmp_path):
    """While it starts, in the middle of a write, between two of them, while it computes; also after going back."""
    whole = Life(kind, tmp_path / "whole", tmp_path)
    assert whole.end() == 0
    moment, out = random.Random(kind), tmp_path / "killed"
    in_a_row = whole.moments.value // mortal.LENGTH
    kills, went_back, reached = 0, 0, set()
    for _ in range(5 * times):
        # As many kills as were asked for, and more as long as few lives got anywhere: how far is partly the clock's doing.
        if kills >= times and len(reached) >= mortal.LENGTH // 2:
            break
        there = steps_of(out)
        finished = (out / "result.json").exists()
        back = there and (finished or moment.random() < 0.25)
        step = moment.choice(there[:-1] or there) if back else None
        timed = kills % 4 == 3  # by the clock, wherever it is then; the others at a call
        life = Life(kind, out, tmp_path, step, 0 if timed else moment.randint(1, 4 * in_a_row))
        if timed:
            until = moment.randint(0, 2)
            while life.rows.value < until and life.child.is_alive():
                time.sleep(0.001)
            time.sleep(moment.uniform(0.0, 0.05) if until else moment.uniform(0.0, 0.5))
            life.child.kill()
        code = life.end()
        assert code in (0, -signal.SIGKILL)
        kills += code != 0
        went_back += bool(code and back)
        assert_rows_are_there(kind, out)
        reached |= set(steps_of(out))
    assert kills >= times and went_back >= times // 9 and len(reached) >= mortal.LENGTH // 2
    assert Life(kind, out, tmp_path).end() == 0
    assert_same_run(out, tmp_path / "whole", mortal.COUNT[kind])
    found, expected = (np.load(tmp_path / f"{name}.npz") for name in ("killed", "whole"))
    assert found.files == expected.files
    for name in expected.files:
        np.testing.assert_array_equal(found[name], expected[name])
