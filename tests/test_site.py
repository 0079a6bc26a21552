"""The site has every page, and the reference every public name; what the build checks is held without it where it can be."""

import ast
import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxrl_envs
import jaxrl_evolve

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = sorted(DOCS.glob("*.md"))


@functools.cache
def hook(name):
    """A file that mkdocs runs, as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / "hooks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def path_of(module):
    root = ROOT / "envs" if module.startswith("jaxrl_envs") else ROOT
    place = root.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def source(module):
    return path_of(module).read_text()


def described(module):
    """Names of a module with a docstring; the reference leaves out those without."""
    found, before = set(), []
    for node in ast.parse(source(module)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            found.add(node.name)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.update(before)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        before = [target.id for target in targets if isinstance(target, ast.Name)]
    return found


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    tables = (ROOT / "benchmarks" / "results").glob("*.md")
    pages = [page.name for page in PAGES]
    pages += [f"benchmarks/results/{table.name}" for table in tables]
    pages += [f"notebooks/{notebook.stem}.md" for notebook in NOTEBOOKS]
    assert not [page for page in pages if f": {page}\n" not in navigation]


@pytest.mark.core
def test_every_public_name_has_a_place_in_the_reference():
    names, rooms = hook("reference").public_names(), hook("reference").modules()
    for package in (jaxrl_evolve, jaxrl_envs):
        missing = {f"{package.__name__}.{name}" for name in package.__all__} - names.keys()
        assert missing <= {"jaxrl_evolve.__version__"}
    shown = {module: described(module) for modules in rooms.values() for module in modules}
    places = [place.rpartition(".") for place in names.values()]
    assert not [f"{module}.{name}" for module, _, name in places if name not in shown.get(module, ())]
    pages = hook("reference").pages()
    assert pages.keys() == {"reference/index.md", *(f"reference/{room}.md" for room in rooms)}
    assert "[`gae`][jaxrl_evolve.experience.returns.gae]" in pages["reference/index.md"]
    assert "::: jaxrl_evolve.experience.returns\n" in pages["reference/experience.md"]


def test_what_the_documentation_imports_is_in_the_reference():
    sources = [
        block
        for page in PAGES
        for block in re.findall(r"^```python[^\n]*\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    ]
    for notebook in NOTEBOOKS:
        cells = json.loads(notebook.read_text())["cells"]
        sources += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    imported = {
        f"{node.module}.{alias.name}"
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("jaxrl_")
        for alias in node.names
    }
    names, rooms = hook("reference").public_names(), hook("reference").modules()
    modules = {module for shown in rooms.values() for module in shown}
    assert len(imported) > 50
    assert not {
        name
        for name in imported - names.keys() - {"jaxrl_evolve.random"}
        if name.rpartition(".")[0] not in modules
    }


def test_shown_attributes_are_told_one_by_one():
    """``x, y: labels`` would become an attribute called ``x,``."""
    together = re.compile(r"^        [a-z]\w*(, [a-z]\w*)+: .*[a-z].*\.$", re.MULTILINE)
    for modules in hook("reference").modules().values():
        for module in modules:
            assert not together.search(source(module)), module


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_becomes_a_page_with_its_pictures(notebook):
    text, pictures = hook("notebooks").as_markdown(notebook)
    assert text.startswith("# ")
    assert "```python\n" in text
    assert len(pictures) == 4
    assert all(content.startswith(b"\x89PNG") and f"({name})" in text for name, content in pictures.items())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_formulas_are_read_alike_on_the_site_and_in_the_repository(page):
    """Markdown elsewhere takes a backslash before punctuation, and a bar in a table, for its own."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for formula in re.findall(r"\$([^$\n]*)\$", text):
        assert formula == formula.strip()
        assert not re.search(r"\\[^A-Za-z]|[|*]", formula), formula
    assert "$" not in re.sub(r"\$([^$\n]*)\$", "", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_dotted_names_lead_somewhere(page):
    for name in re.findall(r"`(jaxrl_(?:evolve|envs)(?:\.\w+)+)", page.read_text()):
        module, _, last = name.rpartition(".")
        if name not in (
            "jaxrl_evolve.objective_families",
            "jaxrl_evolve.proposers",
        ):  # groups of entry points
            assert path_of(name).exists() or re.search(rf"(?<![\w.]){last}\b", source(module)), name


needed = [name for name in ("mkdocs", "mkdocstrings", "latex2mathml") if not importlib.util.find_spec(name)]


@pytest.mark.skipif(bool(needed), reason=f"not installed: {', '.join(needed)}")
def test_the_site_builds_without_warnings(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    drift = (tmp_path / "site" / "drift_objectives" / "index.html").read_text()
    assert "<math " in drift
    assert "arithmatex" not in drift
    throughput = (tmp_path / "site" / "benchmarks" / "results" / "throughput" / "index.html").read_text()
    assert 'href="../../"' in throughput  # README.md beside the tables
