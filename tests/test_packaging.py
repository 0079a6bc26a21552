"""What a user gets from the distribution: names, versions, import cost, wheel contents."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import entry_points, requires
from pathlib import Path

import pytest

import jaxrl_evolve

ROOT = Path(__file__).parent.parent
SUITES = ("gymnax", "brax", "craftax", "octax", "ale_py", "mujoco", "gymnasium")


def python(code: str, **environment: str) -> str:
    """Run ``code`` in a fresh interpreter and return what it printed (or raise with its stderr)."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("interpreter", ["no-such-python", sys.executable])
def test_the_suite_is_repeated_on_the_newest_python_or_that_is_said_to_be_missing(interpreter: str):
    """In a folder of its own, with the locked versions; what make would do, without doing it."""
    command = ["make", "-C", str(ROOT), "test-next", f"NEXT={interpreter}"]
    newest = interpreter == sys.executable and sys.version_info[:2] == (3, 13)
    done = subprocess.run([*command, *(["-n"] if newest else [])], capture_output=True, text=True, timeout=60)
    if newest:
        assert f"{interpreter} -m venv .venv-next" in done.stdout
        assert ".venv-next/bin/python -m pytest" in done.stdout and ".venv/" not in done.stdout
    else:
        assert done.returncode == 2
        assert done.stderr.startswith(
            f"Python 3.13 is needed, and {interpreter} is not one: make test-next NEXT="
        )


def test_every_public_name_resolves():
    for name in jaxrl_evolve.__all__:
        assert getattr(jaxrl_evolve, name) is not None
    assert set(jaxrl_evolve.__all__) <= set(dir(jaxrl_evolve))


def test_lazy_names_agree_with_what_type_checkers_see():
    tree = ast.parse((ROOT / "jaxrl_evolve" / "__init__.py").read_text())
    branch = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname or alias.name: node.module
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    lazy = {name: f"jaxrl_evolve.{module}" for name, module in jaxrl_evolve._MODULE_OF.items()}
    assert lazy == seen
    assert set(jaxrl_evolve.__all__) == {*lazy, "__version__"}


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Trajectoy'"):
        _ = jaxrl_evolve.Trajectoy


def test_import_is_quick_and_imports_no_suite():
    code = f"""
import time
start = time.process_time()
import jaxrl_evolve, jaxrl_envs
seconds = time.process_time() - start
import sys
print(seconds, [name for name in {SUITES} if name in sys.modules])
"""
    # The first start may have to write byte code; the second is what a user feels. Of the processor's time, which a
    # busy machine changes little.
    seconds, suites = min(python(code).split(maxsplit=1) for _ in range(2))
    assert float(seconds) < 2.0
    assert suites.strip() == "[]"


def test_runtime_dependencies_leave_out_heavy_and_copyleft_packages():
    hard = [line for line in requires("jaxrl_evolve") or [] if "extra ==" not in line]
    for name in ("distrax", "rlax", "tensorflow", "torch", "ale-py", "wandb"):
        assert not any(line.startswith(name) for line in hard)


def test_command_is_declared():
    (script,) = entry_points(group="console_scripts", name="jaxrl-evolve")
    assert script.value == "jaxrl_evolve.command.main:main"


def test_constraints_name_packages_and_versions_only():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split(";")[0].strip() for line in lines if not line.startswith("#")]
    assert len(pins) > 50
    for pin in pins:
        name, version = pin.split("==")
        assert name == name.lower().strip()
        assert version[0].isdigit()
        assert not set(pin) & set("/@:")


def test_wheel_ships_both_packages_with_their_data(tmp_path):
    pytest.importorskip("build")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    expected = {
        path.removeprefix("envs/")
        for path in tracked
        if path.startswith(("jaxrl_evolve/", "envs/jaxrl_envs/"))
    }
    assert {"jaxrl_evolve/py.typed", "jaxrl_envs/py.typed"} <= expected <= shipped
    assert not any(path.startswith(("envs/", "tests/")) for path in shipped)
