"""A package outside the library: installed with pip, found by entry point, trained from the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from forked import run_module
from xla import flags

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tests" / "extension"
SIZE = ["--seeds", "2", "--rows", "4", "--checkpoints", "1", "--quiet"]
EVALUATION = ["--evaluation.times", "1", "--evaluation.episodes", "16", "--evaluation.final-episodes", "16"]


@pytest.fixture(scope="module")
def jaxrl(tmp_path_factory):
    """Runs ``python -m MODULE …`` where the package is installed, outside the checkout."""
    pytest.importorskip("hatchling")
    site, elsewhere = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, *offline, "--target", str(site), str(PACKAGE)], check=True, timeout=120)
    path = [str(site), str(ROOT), str(ROOT / "envs")]
    return lambda module, *words: run_module(
        module, [*map(str, words)], elsewhere, path, {"XLA_FLAGS": flags()}
    )


def result_of(done, out):
    assert done.returncode == 0, done.stderr
    return json.loads((out / "result.json").read_text())


def test_the_command_lists_what_the_package_adds(jaxrl):
    done = jaxrl("jaxrl_evolve", "list")
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    for name in ("corridor/Corridor-v0", "quadratic-penalty", "ta-strength", "corridor-reinforce"):
        assert [line for line in lines if line.startswith(name)], name


def test_its_environment_keeps_the_contract(jaxrl):
    done = jaxrl("jaxrl_envs.check", "corridor/Corridor-v0", "--option", "length=5", "--steps", "24")
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_learner_learns_its_environment(jaxrl, tmp_path):
    steps = ["--steps", 16 * 32 * 60]
    where = ["--env", "corridor/Corridor-v0", "--env-options", "length", "6", "--out", tmp_path / "run"]
    done = jaxrl("jaxrl_evolve", "train", "corridor-reinforce", *where, *steps, *SIZE, *EVALUATION)
    result = result_of(done, tmp_path / "run")
    assert result["algorithm"] == "corridor-reinforce"
    # Straight ahead from cell 0 to 5 costs 0.1 a step but the last: 1.0 down to 0.5. A random walk is below 0.
    assert min(result["eval_return"]) > 0.5


@pytest.mark.core
def test_its_objective_trains_ppo(jaxrl, tmp_path):
    where = ["--env", "corridor/Corridor-v0", "--out", tmp_path / "run", "--objective", "quadratic-penalty"]
    more = ["--num-envs", "16", "--steps", 16 * 128 * 12, "--hp.learning-rate", "1e-2"]
    done = jaxrl("jaxrl_evolve", "train", "ppo", *where, *more, *SIZE, *EVALUATION)
    result = result_of(done, tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(
        x > 0.0 for x in rows[0]["penalty"]
    )  # the package's own metric, so its loss was the one minimised
    assert min(result["eval_return"]) > 0.3


def test_its_learner_with_a_store_learns_and_resumes(jaxrl, tmp_path):
    where = ["--env", "corridor/Corridor-v0", "--env-options", "length", "6", "--out", tmp_path / "run"]
    done = jaxrl("jaxrl_evolve", "train", "corridor-q", *where, "--steps", 16 * 4 * 2_000, *SIZE, *EVALUATION)
    result = result_of(done, tmp_path / "run")
    assert min(result["eval_return"]) > 0.5
    (tmp_path / "run" / "result.json").unlink()
    done = jaxrl("jaxrl_evolve", "resume", tmp_path / "run", "--quiet", "--cache", "off")
    assert result_of(done, tmp_path / "run")["eval_return"] == result["eval_return"]


def test_its_network_trains_ppo_and_goes_on_after_a_break(jaxrl, tmp_path):
    run = tmp_path / "run"
    where = ["--env", "corridor/Corridor-v0", "--out", run, "--learner.network.kind", "residual-mlp"]
    more = ["--num-envs", "16", "--steps", 16 * 128 * 12, "--learner.network.hidden", "16", "16"]
    size = ["--hp.learning-rate", "1e-2", "--rows", "4", "--checkpoints", "2", "--quiet", "--cache", "off"]
    done = jaxrl("jaxrl_evolve", "train", "ppo", *where, *more, *size, *EVALUATION)
    result = result_of(done, run)
    assert json.loads((run / "config.json").read_text())["learner"]["network"]["kind"] == "residual-mlp"
    assert min(result["eval_return"]) > 0.3
    newest = max((run / "checkpoints").glob("step_*")) / "manifest.json"
    assert "LayerNorm_0" in newest.read_text()  # its parameters, not those of the library's network
    rows = (run / "metrics.jsonl").read_text().splitlines()
    done = jaxrl("jaxrl_evolve", "resume", run, "--step", "6", "--quiet")
    assert result_of(done, run)["eval_return"] == result["eval_return"]
    again = (run / "metrics.jsonl").read_text().splitlines()
    numbers = lambda lines: [json.loads(line)["loss"] for line in lines]
    assert numbers(again) == numbers(rows) and again[-1] != rows[-1]  # made anew: other seconds


def test_its_curriculum_chooses_the_tasks(jaxrl, tmp_path):
    where = ["--env", "corridor/Corridor-v0", "--env-options", "length", "16", "--out", tmp_path / "run"]
    how = ["--curriculum", "corridor-lengths", "--curriculum-options", "arms", "2", "--num-envs", "16"]
    more = ["--steps", 16 * 128 * 8, "--hp.learning-rate", "1e-2"]
    done = jaxrl("jaxrl_evolve", "train", "ppo", *where, *how, *more, *SIZE, *EVALUATION)
    result_of(done, tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    # A mean of 12 at first; short corridors are soon walked every time, so the longer ones come more often.
    assert min(rows[-1]["curriculum_length"]) > 8.0
    assert max(rows[0]["episode_length"]) < 64.0


@pytest.fixture(scope="module")
def strength(jaxrl, tmp_path_factory):
    """The run folder of a meta-training of the package's own objective."""
    out = tmp_path_factory.mktemp("strength") / "meta"
    size = ["--generations", "2", "--population", "4", "--num-envs", "4", "--rollout-length", "8"]
    lives = ["--horizons.high", "2", "--tests", "2", "--fitness.episodes", "4", "--settings.largest", "2"]
    where = ["--env", "corridor/Corridor-v0", "--out", out]
    result = result_of(
        jaxrl("jaxrl_evolve", "meta-train", "ta-strength", *where, *size, *lives, "--quiet"), out
    )
    assert (result["objective"], result["generations"]) == ("ta-strength", 2)
    return out


def test_its_family_of_objectives_is_meta_trained_stored_and_resumed(jaxrl, strength, tmp_path):
    out = shutil.copytree(strength, tmp_path / "meta")
    file = out / "objective.npz"
    with np.load(file) as stored:
        header = json.loads(stored["header"].tobytes())
        eta = {name: stored[name] for name in ("eta/strength", "eta/time")}
    assert (header["kind"], header["settings"]["largest"]) == ("strength", 2.0)
    assert header["settings"]["time"]["horizons"] == {"least": 64.0, "most": 64.0, "unit": "env_steps"}
    assert np.abs(eta["eta/strength"]).max() > 0 and eta["eta/time"].shape == (1, 2)
    file.unlink()
    result_of(jaxrl("jaxrl_evolve", "resume", out, "--step", "1", "--quiet"), out)
    with np.load(file) as stored:
        for name, leaf in eta.items():
            np.testing.assert_array_equal(stored[name], leaf)


def test_its_meta_trained_objective_trains_ppo(jaxrl, strength, tmp_path):
    where = ["--env", "corridor/Corridor-v0", "--out", tmp_path / "run", "--objective", strength]
    done = jaxrl("jaxrl_evolve", "train", "ppo", *where, "--steps", 4 * 128 * 4, *SIZE, *EVALUATION)
    result_of(done, tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(x > 0.0 for x in rows[0]["drift"])


def test_its_meta_trained_objective_is_meta_tested(jaxrl, strength, tmp_path):
    what = ["--objectives", strength, "--envs", "corridor/Corridor-v0", "--horizons", "2"]
    how = ["--seeds", "2", "--ablations", "frozen", "--baselines", "random", "--tuning.off", "--quiet"]
    more = ["--episodes", "4", "--agents", "ppo.learner.epochs=1", "--out", tmp_path / "tested"]
    done = jaxrl("jaxrl_evolve", "meta-test", *what, *how, *more)
    assert done.returncode == 0, done.stderr
    assert "meta frozen" in "".join(path.read_text() for path in (tmp_path / "tested").glob("*.md"))


def test_a_name_near_to_one_of_its_family_is_suggested(jaxrl, tmp_path):
    done = jaxrl("jaxrl_evolve", "meta-train", "ta-strenght", "--env", "CartPole-v1", "--out", tmp_path / "a")
    assert done.returncode == 2
    assert done.stderr == (
        "jaxrl-evolve: objective is 'ta-strenght', which cannot be meta-trained: did you mean ta-strength or strength? "
        "One of another package is known where that is installed\n"
    )


def test_what_it_cannot_do_is_said_in_one_sentence(jaxrl, tmp_path):
    where = ["--env", "corridor/Corridor-v0", "--out", tmp_path / "run", "--objective", "quadratic-penalty"]
    done = jaxrl("jaxrl_evolve", "train", "corridor-reinforce", *where, *SIZE)
    assert done.returncode == 2
    assert done.stderr == (
        "jaxrl-evolve: objective is 'quadratic-penalty'; REINFORCE has a loss of its own\n"
    )
    assert not (tmp_path / "run").exists()
    where = ["--env", "corridor/Corridor-v0", "--out", tmp_path / "run", "--objective", "ta-lpg"]
    done = jaxrl("jaxrl_evolve", "train", "lpg", *where, "--learner.network.kind", "residual-mlp", *SIZE)
    assert done.returncode == 2
    assert done.stderr == (
        "jaxrl-evolve: predictions is 8, but residual-mlp makes none; the actor-critic does\n"
    )
