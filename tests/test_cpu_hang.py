"""Vmapped training must not deadlock on CPU, whatever order a program imports things in."""

import importlib.util
import os
import subprocess
import sys

import pytest
import xla

from jaxrl_evolve import _cpu
from jaxrl_evolve._cpu import FLAG, WIDTH


def start(*arguments: str, flags: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XLA_FLAGS": flags}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=timeout
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"{FLAG}=false"),
        ("--xla_dump_max_hlo_modules=1", f"--xla_dump_max_hlo_modules=1 {FLAG}=false"),
        (f"{FLAG}=true", f"{FLAG}=true"),
    ],
    ids=["unset", "other flags are kept", "the user's choice stands"],
)
def test_scheduler_is_off_before_the_backend_starts(before, after):
    code = "import jax, jaxrl_evolve, os; jax.devices(); print(os.environ['XLA_FLAGS'])"
    done = start("-W", "error", "-c", code, flags=before)
    assert done.returncode == 0, done.stderr
    assert " ".join(flag for flag in done.stdout.split() if not flag.startswith(WIDTH)) == after


def test_wide_vectors_are_used_where_they_cost_nothing(monkeypatch, tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags : avx2 avx512f avx512_vbmi2\n")
    assert _cpu._has_fast_wide_vectors(cpuinfo)
    cpuinfo.write_text("flags : avx2 avx512f\n")
    assert not _cpu._has_fast_wide_vectors(cpuinfo)
    assert not _cpu._has_fast_wide_vectors(tmp_path / "none")

    monkeypatch.setattr(_cpu, "_backend_is_running", lambda: False)
    monkeypatch.setattr(_cpu, "_has_fast_wide_vectors", lambda: True)
    for before, after in (("", f"{FLAG}=false {WIDTH}=512"), (f"{WIDTH}=256", f"{WIDTH}=256 {FLAG}=false")):
        monkeypatch.setenv("XLA_FLAGS", before)
        _cpu.set_xla_flags()
        assert os.environ["XLA_FLAGS"] == after
    monkeypatch.setattr(_cpu, "_has_fast_wide_vectors", lambda: False)
    monkeypatch.setenv("XLA_FLAGS", "")
    _cpu.set_xla_flags()
    assert os.environ["XLA_FLAGS"] == f"{FLAG}=false"


def test_a_backend_already_running_is_warned_about_once():
    code = "import jax; jax.devices(); import jaxrl_evolve; import jaxrl_evolve.clock"
    done = start("-c", code)
    assert done.stderr.count("RuntimeWarning") == 1
    assert f"XLA_FLAGS={FLAG}=false" in done.stderr


def test_unknown_jaxlib_is_left_alone(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(_cpu, "version", lambda _: "99.0.0.dev1")
    _cpu.set_xla_flags()
    assert os.environ["XLA_FLAGS"] == ""


@pytest.mark.parametrize(("jaxlib", "known"), [("0.10.2", True), ("0.11.0", False), ("1.0.0.dev1", False)])
def test_no_test_sets_a_flag_that_jaxlib_does_not_know(monkeypatch, jaxlib, known):
    monkeypatch.setattr(xla, "version", lambda _: jaxlib)
    assert ("xla_cpu_use_fusion_emitters" in xla.flags(8)) == known
    assert "--xla_backend_optimization_level=0" in xla.flags(8, "--xla_dump_max_hlo_modules=1").split()


def test_vmapped_orthogonal_initialisation_finishes_under_either_scheduler():
    """16 QR decompositions vmapped over 8 seeds hang here; the library's initialiser must not."""
    code = """
import jax
from jaxrl_evolve.networks.orthogonal import orthogonal
init = lambda key: [orthogonal()(k, (64, 64)) for k in jax.random.split(key, 16)]
program = jax.jit(jax.vmap(init))
for seed in range(20):
    jax.block_until_ready(program(jax.random.split(jax.random.key(seed), 8)))
"""
    done = start("-c", code, flags=f"{FLAG}=true", timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(importlib.util.find_spec("jaxrl_evolve.command.main") is None, reason="no command yet")
@pytest.mark.core
def test_eight_vmapped_seeds_finish(tmp_path):
    arguments = ["train", "ppo", "--env", "CartPole-v1", "--steps", "16_384", "--seeds", "8"]
    quick = (
        "--xla_backend_optimization_level=0"  # to compile; which kernels there are and when they run stays
    )
    done = start("-m", "jaxrl_evolve", *arguments, "--out", str(tmp_path / "run"), flags=quick, timeout=240)
    assert done.returncode == 0, done.stderr
