"""Pages of the site that lie elsewhere in the repository: result tables, notebooks, cards, the changelog.

They are read where they are, with what lies beside them, and a link from page to page leads to the same place on the site as in the
repository. A link to a file that is not on the site is left as it is, for mkdocs to complain about.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from notebooks import as_markdown

ROOT = Path(__file__).resolve().parents[2]
PLACES = (
    *("CHANGELOG.md", "CITATION.cff", "LICENSE"),
    *("benchmarks/README.md", "benchmarks/results/*.*", "notebooks/*.ipynb"),
    "jaxrl_evolve/objectives/shipped/*.md",
)
LINK = re.compile(r"(?<=\]\()[^)\s#]+")

_page_of: dict[Path, str] = {}  # a file of the repository, and where the site has it


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for file in files:
        if file.abs_src_path:
            _page_of[Path(file.abs_src_path).resolve()] = file.src_uri
    for place in PLACES:
        for path in sorted(ROOT.glob(place)):
            for file in _on_the_site(path, config):
                files.append(file)
                _page_of.setdefault(path, file.src_uri)
    return files


def _on_the_site(path: Path, config: MkDocsConfig) -> Iterator[File]:
    name = path.relative_to(ROOT).as_posix()
    if path.suffix == ".ipynb":
        page = name.replace(".ipynb", ".md")
        text, pictures = as_markdown(path)
        yield File.generated(config, page, content=text)
        for picture, content in pictures.items():
            yield File.generated(config, posixpath.join(posixpath.dirname(page), picture), content=content)
    else:
        yield File(name, str(ROOT), config.site_dir, config.use_directory_urls)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    here = page.file.src_uri
    lies_in = ROOT / ("." if page.file.src_dir != config.docs_dir else "docs") / posixpath.dirname(here)

    def followed(link: re.Match[str]) -> str:
        found = _page_of.get((lies_in / link[0]).resolve())
        return posixpath.relpath(found, posixpath.dirname(here)) if found else link[0]

    return LINK.sub(followed, markdown) + _beside(here)


def _beside(page: str) -> str:
    """What lies beside a result table and bears its name: pictures, and the numbers as CSV."""
    path = ROOT / page
    if path.parent != ROOT / "benchmarks" / "results":
        return ""
    pictures = [f"![{file.stem}]({file.name})" for file in sorted(path.parent.glob(f"{path.stem}*.png"))]
    numbers = [f"[`{file.name}`]({file.name})" for file in sorted(path.parent.glob(f"{path.stem}*.csv"))]
    return "\n\n".join(["", *pictures, *([" · ".join(["Numbers:", *numbers])] if numbers else [])])
