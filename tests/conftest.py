"""Settings that must precede the first import of jax and of the packages under test."""

import gc
import os
import sys
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent


def roomy(folder: str) -> str:
    """The folder, if programs may run there and 4 GiB are free; containers often have a tiny one."""
    if not os.path.isdir(folder):
        return ""
    room = os.statvfs(folder)
    return folder if room.f_bavail * room.f_frsize >= 4 << 30 and not room.f_flag & os.ST_NOEXEC else ""


os.environ.setdefault("MPLBACKEND", "Agg")
# Run folders are written so that a power cut loses nothing, which no test asks of its own: in memory that takes no time.
if in_memory := roomy("/dev/shm"):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", in_memory)
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))
# Writing every program costs nothing that could be measured, and the processes of a run read each other's.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
sys.path.insert(0, str(TESTS))

from xla import SWITCH, flags  # noqa: E402

# Sharding is tested in process on eight host devices, by tests that ask for `all_devices`; all others run on the first of
# them, since splitting a program up takes as long as most of what XLA does to it besides.
GIVEN = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = flags(8, GIVEN)

from jaxtyping import install_import_hook  # noqa: E402

# Annotations are checked once: cells of a CI matrix that differ in versions only leave it to one of them.
if os.environ.get("TYPE_CHECKS", "on") != "off":
    install_import_hook(["jaxrl_evolve", "jaxrl_envs"], "typecheck.check")

import durations  # noqa: E402
import pytest  # noqa: E402
from contexts import share_contexts  # noqa: E402

import jaxrl_evolve  # noqa: E402, F401  (sets the CPU scheduler before any test starts a backend)

if not os.environ.get(SWITCH):  # as users have them
    share_contexts()

gc.set_threshold(100_000, 50, 100)  # tracing makes many objects and little rubbish


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="short tests, and the core of the long ones")
    parser.addoption("--record-durations", action="store_true", help="write tests/durations.csv")


def pytest_configure(config):
    if config.getoption("record_durations"):
        config.pluginmanager.register(durations.Shared())
        if not hasattr(config, "workerinput"):
            before = durations.read() if config.getoption("quick") else {}
            config.pluginmanager.register(durations.Recorder(before))


# Two processes share the files out, so the longest come first: at the end, there are short ones to share.
def pytest_collection_modifyitems(config, items):
    items[:], left = durations.chosen(items, durations.read(), config.getoption("quick"))
    config.hook.pytest_deselected(items=left)


@pytest.fixture(scope="session", autouse=True)
def one_device():
    """Runs are not split over devices, here and in processes that tests start."""
    import jax

    jax.config.update("jax_default_device", jax.devices()[0])
    os.environ["XLA_FLAGS"] = flags(1, GIVEN)


@pytest.fixture
def all_devices():
    """Runs are split over devices, as users' are."""
    import jax

    with jax.default_device(None):
        yield


@pytest.fixture(autouse=True)
def registered():
    """What a test registers by name is forgotten after it."""
    from jaxrl_evolve.settings import plugins

    before = {group: dict(things) for group, things in plugins._added.items()}
    yield
    for group, things in before.items():
        plugins._added[group].clear()
        plugins._added[group].update(things)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Two seeds of a small run that has ended, for tests that only read them: the result and the folder."""
    import walk

    from jaxrl_evolve.training.train import train

    out = tmp_path_factory.mktemp("finished") / "walk"
    return train(walk.config(seeds=2), out), out
