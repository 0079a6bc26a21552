"""Settings that must precede the first import of jax and of the packages under test."""

import os
import sys
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
XLA_FLAGS = {
    # Sharding is tested in process on eight host devices; single-device tests run on the first of them at
    # the same speed (dispatch, scan and matmul times measured equal).
    "xla_force_host_platform_device_count": "8",
    # Most of the time goes into compiling programs that run for milliseconds. Without optimisation that takes less
    # than a third as long; what is computed is the same.
    "xla_backend_optimization_level": "0",
    "xla_cpu_use_fusion_emitters": "false",
}
given = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = " ".join(
    [given, *(f"--{name}={value}" for name, value in XLA_FLAGS.items() if name not in given)]
).strip()

sys.path.insert(0, str(TESTS))

from jaxtyping import install_import_hook  # noqa: E402

install_import_hook(["jaxrl_evolve", "jaxrl_envs"], "typecheck.check")

import jaxrl_evolve  # noqa: E402, F401  (sets the CPU scheduler before any test starts a backend)
