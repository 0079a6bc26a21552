"""The XLA flags of tests and of the processes they start."""

import os
from importlib.metadata import version

SWITCH = "TEST_XLA_FLAGS"
"""The environment variable that leaves flags as users have them: set it to ``users``, as ``make test-flags`` does."""

# What the first three move out of loops makes all other passes go over the program again. What the others find makes the
# simplifications go over it up to a fixed point, and all be verified each time, a sixth of what XLA takes.
OFF = """
    while-loop-invariant-code-motion while-loop-constant-sinking simplify-while-loops
    cse constant_folding simplify-conditional zero_sized_hlo_elimination reshape-mover tree_reduction_rewriter
    dynamic-dimension-simplifier batch-dot-simplification
"""
"""Passes of XLA that tests do without."""

# Most of a test's time goes into compiling programs that run for milliseconds. Without optimisation that takes less
# than a third as long, and what is computed is the same. `jaxrl_evolve` itself sets none of these.
QUICK_TO_COMPILE = {
    "xla_backend_optimization_level": "0",
    "xla_cpu_parallel_codegen_split_count": "1",  # cutting a program up, to compile the pieces at once, is work as well
    "xla_disable_hlo_passes": ",".join(OFF.split()),
}
# jaxlib 0.11 has no other way to make kernels than these emitters, and ends the process on a flag it does not know.
QUICK_BEFORE_0_11 = {"xla_cpu_use_fusion_emitters": "false"}


def flags(devices: int = 0, given: str = "") -> str:
    """A value of ``XLA_FLAGS``: so many host devices (0 for what a process has by itself), quick to compile.

    What ``given`` sets already is left as it is. By `SWITCH` programs are compiled as users compile them.

    Raises:
        ValueError: the switch is set to something else.
    """
    wanted = {} if _as_users_have_them() else _quick_to_compile()
    if devices:
        wanted["xla_force_host_platform_device_count"] = str(devices)
    own = [f"--{name}={value}" for name, value in wanted.items() if name not in given]
    return " ".join([*given.split(), *own])


def _quick_to_compile() -> dict[str, str]:
    major, minor = version("jaxlib").split(".")[:2]
    return QUICK_TO_COMPILE | (QUICK_BEFORE_0_11 if (int(major), int(minor)) < (0, 11) else {})


def _as_users_have_them() -> bool:
    if (asked := os.environ.get(SWITCH, "")) not in ("", "users"):
        raise ValueError(f"{SWITCH} is {asked!r}; it must be users, or not set")
    return bool(asked)
