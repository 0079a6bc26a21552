"""Every notebook runs from top to bottom, at tiny size (the first with every test, the others among the slow ones), and is committed as it came out at full size.

`jupyter-execute --inplace notebooks/*.ipynb` renews what they show, on the documentation's site, too.
"""

import json
import os
import re
from pathlib import Path

import pytest
from xla import flags

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FIGURES = 4  # in each
TINY = {"JAXRL_NOTEBOOK_STEPS": "4096", "JAXRL_NOTEBOOK_SEEDS": "3"}


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_committed_as_it_ran(path):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == FIGURES
    told = ["".join(output.get("text", [])) for output in outputs if output["output_type"] != "error"]
    assert len(told) == len(outputs)
    assert not re.search(r"(?<!\w)/\w+/", "\n".join(told))  # a path of the machine it ran on


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.slow if i else ()) for i, path in enumerate(NOTEBOOKS)],
    ids=lambda path: path.stem,
)
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
    assert figures == FIGURES
