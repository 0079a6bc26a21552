"""A run that is killed at any moment, again and again, ends as the uninterrupted one, bit for bit."""

import multiprocessing
import random
import time

import pytest
import walk
from same import assert_equal, assert_same_run

from jaxrl_evolve.storage.checkpoint import Checkpoints
from jaxrl_evolve.training import train as loops
from jaxrl_evolve.training.config import EvaluationConfig
from jaxrl_evolve.training.train import train


def config_of(updates):
    """Every update is a row, and a checkpoint."""
    return walk.config(
        updates=updates,
        seeds=2,
        rows=updates,
        checkpoints=updates,
        learner={
            "minibatches": 2,
            "epochs": 1,
            "normalise_observations": True,
            "normalise_returns": True,
            "network": {"hidden": (8,)},
        },
        resets="pool:6:2",
        evaluation=EvaluationConfig(times=updates // 5, episodes=2, final_episodes=4, max_steps=20),
    )


def train_in_child(out, rows, updates):
    """Train on, counting the rows of this process in ``rows``."""
    real = loops._Loop.advance

    def advance(self, *arguments):
        real(self, *arguments)
        rows.value += 1

    loops._Loop.advance = advance
    train(config_of(updates), out, resume=True)


@pytest.mark.timeout(900)  # half a minute alone on a machine, minutes on a busy one
@pytest.mark.parametrize(("times", "updates"), [(5, 25), pytest.param(20, 70, marks=pytest.mark.slow)])
def test_killed_at_random_moments(times, updates, tmp_path):
    # Children are forked with all modules imported and no backend started (importing gymnax starts one), and
    # find their programs in the compilation cache: a restart costs a second.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["orbax.checkpoint", "matplotlib.backends.backend_agg", __name__])

    def start(out):
        rows = context.Value("i", 0, lock=False)
        child = context.Process(target=train_in_child, args=(out, rows, updates))
        child.start()
        return child, rows

    child, _ = start(tmp_path / "whole")
    child.join()
    assert child.exitcode == 0
    moment, out, reached, kills = random.Random(0), tmp_path / "killed", [], 0
    while True:
        child, rows = start(out)
        if kills >= times:
            child.join()
            break
        # Every fifth is killed while it starts; the others in some row, or in what follows it. Each row saves, and
        # a save waits for the one before it: from the second row on there is progress.
        until = 0 if kills % 5 == 4 else moment.randint(2, 4)
        while until and rows.value < until and child.is_alive():
            time.sleep(0.001)
        time.sleep(moment.uniform(0.0, 0.02) if until else moment.uniform(0.0, 1.5))
        child.kill()
        child.join()
        kills += 1
        if (out / "checkpoints").is_dir():
            with Checkpoints(out / "checkpoints") as checkpoints:
                reached += checkpoints.steps()[-1:]
    assert child.exitcode == 0 and kills == times
    # Progress is never lost, and most kills came in the middle of the run.
    assert reached == sorted(reached) and len(set(reached)) >= 0.6 * times and reached[-1] < updates
    assert_same_run(out, tmp_path / "whole")
    finished = [train(config_of(updates), folder, resume=True) for folder in (out, tmp_path / "whole")]
    assert_equal(finished[0].states, finished[1].states)
