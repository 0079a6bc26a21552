"""The XLA flags of tests and of the processes they start."""

from importlib.metadata import version

# Most of a test's time goes into compiling programs that run for milliseconds. Without optimisation that takes less
# than a third as long, and what is computed is the same. `jaxrl_evolve` itself sets none of these.
QUICK_TO_COMPILE = {"xla_backend_optimization_level": "0"}
# jaxlib 0.11 has no other way to make kernels than these emitters, and ends the process on a flag it does not know.
QUICK_BEFORE_0_11 = {"xla_cpu_use_fusion_emitters": "false"}


def flags(devices: int = 0, given: str = "") -> str:
    """A value of ``XLA_FLAGS``: so many host devices (0 for what a process has by itself), quick to compile.

    What ``given`` sets already is left as it is.
    """
    major, minor = version("jaxlib").split(".")[:2]
    wanted = QUICK_TO_COMPILE | (QUICK_BEFORE_0_11 if (int(major), int(minor)) < (0, 11) else {})
    if devices:
        wanted["xla_force_host_platform_device_count"] = str(devices)
    own = [f"--{name}={value}" for name, value in wanted.items() if name not in given]
    return " ".join([*given.split(), *own])
