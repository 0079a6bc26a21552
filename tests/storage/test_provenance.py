"""Where numbers come from: what is recorded, and what is not."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import jax

from jaxrl_evolve.storage import provenance
from jaxrl_evolve.training.resumption import other_bits


def test_provenance():
    facts = provenance.provenance()
    json.dumps(facts, allow_nan=False)
    assert (
        facts["versions"]["jax"] == jax.__version__ and facts["versions"]["python"] == sys.version.split()[0]
    )
    assert facts["device"]["platform"] == jax.devices()[0].platform
    assert os.uname().nodename not in json.dumps(facts)
    with jax.default_matmul_precision("highest"):
        assert provenance.provenance()["matmul_precision"] == "highest"


def test_git_counts_only_for_a_tracked_source(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(
            ["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    source = tmp_path / "module.py"
    source.write_text("a = 1\n")
    assert provenance._git_state(source) is None
    git("init", "-q")
    assert provenance._git_state(source) is None
    git("add", ".")
    git("commit", "-qm", "x")
    assert provenance._git_state(source) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    source.write_text("a = 2\n")
    assert provenance._git_state(source) == {"commit": git("rev-parse", "HEAD"), "dirty": True}
    (tmp_path / "installed.py").touch()
    assert provenance._git_state(tmp_path / "installed.py") is None


def test_the_command_is_what_began_the_process(monkeypatch):
    for argv, told in {
        (
            "/home/me/bin/jaxrl-evolve",
            "meta-train",
            "lpg",
            "--out",
            "a b",
        ): "jaxrl-evolve meta-train lpg --out 'a b'",
        ("/opt/lib/jaxrl_evolve/__main__.py", "meta-train", "lpg"): "jaxrl-evolve meta-train lpg",
        ("/home/me/bin/jaxrl-evolve", "resume", "runs/a"): "",
        ("benchmarks/study.py", "b"): "python benchmarks/study.py b",
        ("/home/me/study.py", "b"): "python study.py b",
        ("-c",): "",
        ("",): "",
        ("/home/me/ipykernel_launcher.py", "-f", "/home/me/kernel.json"): "",
    }.items():
        monkeypatch.setattr(sys, "argv", list(argv))
        assert provenance.command() == told


def test_a_checkpoint_under_another_version_is_told(monkeypatch):
    """Of all that says what is computed, if it is loaded; what the checkpoint does not say is not compared."""
    here = provenance.numerics(1)
    commit = provenance._git_state(Path(provenance.__file__))
    assert here["commit"] == (commit and commit["commit"] + "+" * commit["dirty"])
    assert {"flax", "optax", "jaxrl-evolve"} <= here.keys() and "wandb" not in here
    assert other_bits(here, here) == other_bits({}, here) == ""
    versions = importlib.metadata.version
    for name in ("flax", "optax", "jaxrl-evolve", "gymnax", "brax", "craftax"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name.replace("-", "_"), sys)
            there = provenance.numerics(1)
            patch.setattr(importlib.metadata, "version", lambda x, n=name: "0.0" if x == n else versions(x))
            said = other_bits(there, provenance.numerics(1))
        assert f"({name} {versions(name)} there, 0.0 here)" in said
