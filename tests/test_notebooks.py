"""Every notebook runs from top to bottom, at tiny size, and is committed without outputs."""

import json
import os
from pathlib import Path

import pytest
from xla import flags

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TINY = {"JAXRL_NOTEBOOK_STEPS": "4096", "JAXRL_NOTEBOOK_SEEDS": "3"}


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_committed_without_outputs(path):
    cells = json.loads(path.read_text())["cells"]
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_at_tiny_size(path, monkeypatch, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    for name, value in TINY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XLA_FLAGS", flags())  # eight devices are for the tests of sharding
    monkeypatch.delenv("MPLBACKEND", raising=False)  # figures are outputs of their cells
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT, ROOT / "envs"))))
    notebook = nbformat.read(path, as_version=4)
    assert all(name in path.read_text() for name in TINY)  # else it would run at full size
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3", resources=resources).execute()
    figures = sum(
        "image/png" in o.get("data", {}) for cell in notebook.cells for o in cell.get("outputs", [])
    )
    assert figures == 4
