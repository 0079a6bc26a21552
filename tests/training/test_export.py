"""Policies as files: they act as the evaluation does, without the library, and say what they are."""

import json
import subprocess
import sys
from typing import Any

import jax
import jaxtyping
import numpy as np
import pytest
import walk
from policies import LEARNERS, made, observations
from same import assert_equal

from jaxrl_evolve import random
from jaxrl_evolve.command.main import main
from jaxrl_evolve.runs.evaluation import make_evaluation
from jaxrl_evolve.storage.folder import RunFolder
from jaxrl_evolve.training.export import _program as written
from jaxrl_evolve.training.export import export
from jaxrl_evolve.training.restore import evaluate_folder, load
from jaxrl_evolve.training.train import train

NETWORK = {"hidden": (8,), "memory": "gru", "memory_size": 4}
LEARNER = {"minibatches": 2, "epochs": 2, "normalise_observations": True}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three seeds of an agent with memory whose observations are normalised."""
    out = tmp_path_factory.mktemp("runs") / "memory"
    train(walk.config(seeds=3, learner={**LEARNER, "network": NETWORK}), out)
    return out


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """One seed without memory."""
    out = tmp_path_factory.mktemp("runs") / "plain"
    train(walk.config(updates=4, learner={**LEARNER, "network": {"hidden": (8,)}}), out)
    return out


@pytest.fixture
def writable(monkeypatch):
    """The extra is there, and annotations are not checked: a program's number of observations is a symbol, no int."""
    for name in ("flatbuffers", "safetensors"):
        pytest.importorskip(name, reason="of the extra `export`")
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def program(folder):
    return jax.export.deserialize(bytearray((folder / "program.jax").read_bytes()))


def facts(folder):
    return json.loads((folder / "policy.json").read_text())


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("mode", ["greedy", "sample"])
@pytest.mark.usefixtures("writable")
def test_an_exported_policy_plays_the_evaluation_over_again(run, tmp_path, mode: Any):
    export(run, tmp_path / "policy", run=1, mode=mode)
    acting, trained = program(tmp_path / "policy"), load(run)
    env, learner = trained.experiment.env, trained.experiment.learner

    def act(actor: Any, obs: Any, first: Any, memory: Any, key: Any, mode: Any = "explore") -> Any:
        action, (after,) = acting.call(obs, (memory,), first, jax.random.key_data(key))
        return action, after, ()

    again = make_evaluation(env, learner._replace(act=act, actor=lambda state: ()), 16, 20, mode)
    root = jax.random.fold_in(random.key(5), random.KeyTag.EVALUATION)
    outcome = jax.jit(lambda key: again(jax.random.split(key, 3)[1], (), env.params))(root)
    told = evaluate_folder(run, 16, mode=mode, seed=5, max_steps=20)
    assert np.asarray(outcome.returns).mean() == told["eval_return"][1] != told["eval_return"][0]


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.core("normal")
@pytest.mark.usefixtures("writable")
def test_a_program_acts_like_its_policy_to_the_bit(name):
    _, _, _, policy = made(name, "sample")
    acting = jax.export.deserialize(bytearray(written(policy, ("cpu", "cuda", "tpu"), name)))
    for num in (1, 7):
        carry = policy.start(num)
        memory = tuple(jax.tree.leaves(carry.memory))
        for step in range(3):
            first = (np.arange(num) % 2 == 0) | (step == 0)
            obs, key = observations(policy.observation_space, num, step), jax.random.key(step)
            wanted, carry = policy(obs, carry._replace(first=first), key)
            action, memory = acting.call(obs, memory, first, jax.random.key_data(key))
            assert_equal((action, memory), (wanted, tuple(jax.tree.leaves(carry.memory))))


ALONE = """
import json, sys
import jax, numpy as np
program = jax.export.deserialize(bytearray(open("program.jax", "rb").read()))
facts = json.load(open("policy.json"))
seen = np.load("seen.npy")
steps, num = seen.shape[:2]
memory = tuple(np.zeros((num, *leaf["shape"]), leaf["dtype"]) for leaf in facts["memory"])
actions = []
for step in range(steps):
    key = jax.random.key_data(jax.random.key(step))
    action, memory = program.call(seen[step], memory, np.full(num, step == 0), key)
    actions.append(np.asarray(action))
np.save("actions.npy", np.stack(actions))
print([name for name in sys.modules if name.split(".")[0] in ("jaxrl_evolve", "jaxrl_envs", "flax", "optax")])
"""


@pytest.mark.usefixtures("writable")
def test_a_fresh_process_acts_with_jax_alone(run, tmp_path):
    export(run, tmp_path, run=2, mode="sample", platforms=("cpu", "cuda"))
    seen = np.random.default_rng(0).uniform(-2, 2, (4, 64, 2)).astype(np.float32)
    np.save(tmp_path / "seen.npy", seen)
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    policy, carry, wanted = load(run).policy(2, "sample"), None, []
    for step, obs in enumerate(seen):
        action, carry = policy(obs, carry, jax.random.key(step))
        wanted.append(action)
    np.testing.assert_array_equal(np.load(tmp_path / "actions.npy"), np.stack(wanted))
    assert len(np.unique(wanted)) == 2


@pytest.mark.usefixtures("writable")
def test_the_weights_and_what_is_said_of_them_are_enough_to_act(plain, tmp_path):
    from safetensors.numpy import load_file

    export(plain, tmp_path / "policy")
    weights, told = load_file(tmp_path / "policy" / "weights.safetensors"), facts(tmp_path / "policy")
    assert {n: {"shape": list(x.shape), "dtype": str(x.dtype)} for n, x in weights.items()} == told["weights"]
    seen = np.random.default_rng(0).uniform(-2, 2, (32, 2)).astype(np.float32)
    mean, variance = (weights[told["normaliser"][name]] for name in ("mean", "variance"))
    x = np.clip((seen - mean) / np.sqrt(variance + 1e-8), -10, 10)
    layer = lambda name, part: weights[f"params.params.{name}.{part}"]
    x = np.tanh(x @ layer("layers_0", "kernel")[0] + layer("layers_0", "bias")[0])
    logits = x @ layer("policy_head", "kernel") + layer("policy_head", "bias")
    trained = load(plain)
    learner, state = trained.experiment.learner, trained.state_of(0)
    act = jax.jit(lambda state, *given: learner.act(learner.actor(state), *given, (), jax.random.key(0)))
    _, _, said = act(state, seen, np.ones(32, bool))
    np.testing.assert_allclose(logits, said.distribution.logits, atol=1e-5)
    assert np.ptp(logits) > 0.01
    assert told["learner"]["network"]["activation"] == "tanh" and told["memory"] == []
    assert told["normaliser"]["formula"] == "clip((observation - mean) / sqrt(variance + 1e-8), -10, 10)"
    assert told["observation"] == {"kind": "box", "shape": [2], "dtype": "float32", "low": -2, "high": 2}
    assert told["action"] == {"kind": "discrete", "n": 2, "shape": [], "dtype": "int32"}
    assert (told["env"], told["env_steps"], told["mode"], told["run"]) == (walk.NAME, 256, "greedy", 0)


def test_the_best_run_is_that_of_the_newest_evaluation(run, tmp_path):
    trained = load(run)
    returns = json.loads((run / "result.json").read_text())["eval_return"]
    assert trained.number("best") == int(np.argmax(returns))
    lost = trained._replace(diverged=np.where(np.arange(3) == np.argmax(returns), 4, -1))
    assert lost.number("best") == int(np.argsort(returns)[-2])
    rows = [{"env_steps": 384, "eval_return": [0, 2, 1]}, {"env_steps": 640, "eval_return": [9, 0, 0]}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert trained._replace(folder=RunFolder(tmp_path), updates=8).number("best") == 1
    obs = np.ones((5, 2), np.float32)
    np.testing.assert_array_equal(
        trained.policy("best")(obs)[1].memory, trained.policy(int(np.argmax(returns)))(obs)[1].memory
    )
    with pytest.raises(ValueError, match="run is 'best', but .* has no evaluation of a run that did not"):
        lost._replace(diverged=np.zeros(3, int)).policy("best")


def test_what_is_no_policy_is_refused(run, tmp_path, capsys, monkeypatch):
    meta = tmp_path / "meta"
    meta.mkdir()
    (meta / "config.json").write_text('{"kind": "meta-train"}')
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    out = tmp_path / "out"
    for words, message in [
        ([run, "--run", 3], f"run is 3; {run} has 3, counted from 0 (or 'best')"),
        ([run, "--run", -1], "run is -1; "),
        ([run, "--platforms", "gpu"], "platforms has 'gpu', which is not known: "),
        ([meta], f"{meta} holds a meta-training, not a training run: agents train by its objective with"),
        (["lpg"], "lpg is an objective, which agents learn by and which does not act: train some"),
        ([tmp_path / "x.npz"], f"{tmp_path / 'x.npz'} is an objective"),
        ([tmp_path / "none"], f"there is no run folder {tmp_path / 'none'}"),
        (
            [run, "--out", tmp_path / "full"],
            f"out is '{tmp_path / 'full'}', which is not empty: it holds the",
        ),
    ]:
        monkeypatch.setattr("jaxrl_evolve.training.export._NEEDS", ())
        assert main(["export", "--out", str(out), *map(str, words)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"jaxrl-evolve: {message}") and said.count("\n") == 1, said
        assert not out.exists()
    monkeypatch.setattr("jaxrl_evolve.training.export._NEEDS", ("flatbufers",))
    assert main(["export", str(run), "--out", str(out)]) == 1
    assert (
        "to export a policy needs flatbufers: pip install 'jaxrl_evolve[export]'" in capsys.readouterr().err
    )


@pytest.mark.usefixtures("writable")
def test_an_export_is_replaced_only_if_that_is_asked_for(plain, tmp_path, capsys):
    out = tmp_path / "deep" / "policy"
    words = ["export", str(plain), "--out", str(out)]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{out}\n"
    before = files(out)
    assert before.keys() == {"program.jax", "weights.safetensors", "policy.json"}
    assert main([*words, "--mode", "sample"]) == 2
    assert "which is not empty: --overwrite replaces" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--run", "9"]) == 2
    assert files(out) == before
    assert main([*words, "--overwrite", "--mode", "sample"]) == 0
    after = files(out)
    assert after["program.jax"] != before["program.jax"] and facts(out)["mode"] == "sample"
    assert after["weights.safetensors"] == before["weights.safetensors"]
