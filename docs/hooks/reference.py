"""The reference: a page for each room with public names, from the docstrings of the modules that hold them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"jaxrl_envs": ROOT / "envs", "jaxrl_evolve": ROOT}
ALSO = (
    *("jaxrl_envs.check", "jaxrl_envs.resets", "jaxrl_envs.specs.starts"),
    *(f"jaxrl_envs.specs.{name}" for name in ("environments", "tech_tree", "xland")),
    "jaxrl_envs.vector",
    *("jaxrl_evolve.algorithms.table", "jaxrl_evolve.random"),
    *("jaxrl_evolve.curricula.domain_randomisation", "jaxrl_evolve.curricula.level_replay"),
    *("jaxrl_evolve.curricula.statistics", "jaxrl_evolve.curricula.signals"),
    *(
        f"jaxrl_evolve.curricula.arms.{name}"
        for name in ("arms", "bandit", "choice", "curriculum", "estimator")
    ),
    *("jaxrl_evolve.experience.minibatches", "jaxrl_evolve.experience.normalisation"),
    *(
        "jaxrl_evolve.experience.layout",
        "jaxrl_evolve.experience.n_step",
        "jaxrl_evolve.experience.replay",
        "jaxrl_evolve.experience.augmentation",
    ),
    *("jaxrl_evolve.learners.a2c", "jaxrl_evolve.learners.disco", "jaxrl_evolve.learners.disco_config"),
    *("jaxrl_evolve.learners.rainbow", "jaxrl_evolve.learners.rainbow_config", "jaxrl_evolve.learners.lpg"),
    *("jaxrl_evolve.learners.sac", "jaxrl_evolve.learners.spo", "jaxrl_evolve.learners.spo_sac"),
    *("jaxrl_evolve.learners.reward_model", "jaxrl_evolve.networks.action_values"),
    *(f"jaxrl_evolve.networks.decoder.{name}" for name in ("generate", "pretrained", "sampling")),
    "jaxrl_evolve.networks.decoder_config",
    *(f"jaxrl_evolve.objectives.{name}" for name in ("by_variant", "categorical", "library")),
    *(f"jaxrl_evolve.preferences.{name}" for name in ("games", "minimax")),
    *(f"jaxrl_evolve.preferences.solvers.{name}" for name in ("feedback", "play", "solver", "table")),
    *("jaxrl_evolve.results.figures", "jaxrl_evolve.results.scores", "jaxrl_evolve.results.statistics"),
    *("jaxrl_evolve.results.meta_seeds", "jaxrl_evolve.results.panels", "jaxrl_evolve.results.pass_at_k"),
    *(
        f"jaxrl_evolve.generation.{name}"
        for name in (
            *("archive", "candidates", "chat_config", "config", "domain", "feedback", "lifecycle", "offline"),
            *("outcome", "proposal", "tech_tree", "train"),
        )
    ),
    *("jaxrl_evolve.runs.rollout", "jaxrl_evolve.training.export", "jaxrl_evolve.training.render"),
    "jaxrl_evolve.training.sweep",
)
"""Modules that are public though no package hands on their names: the documentation imports from them."""


@functools.cache
def public_names() -> dict[str, str]:
    """What packages and modules list in ``__all__``, and the full name of each where it is made.

    ``{"jaxrl_evolve.gae": "jaxrl_evolve.experience.returns.gae", …}``
    """
    listed: dict[str, str] = {}
    handed_on: dict[str, str] = {}
    for package, folder in PACKAGES.items():
        for path in sorted((folder / package).rglob("*.py")):
            module = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
            tree = ast.parse(path.read_text())
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom):
                    for alias in node.names:
                        name = f"{module}.{alias.asname or alias.name}"
                        handed_on[name] = f"{node.module}.{alias.name}"
            for name in _all_of(tree):
                listed[f"{module}.{name}"] = f"{module}.{name}"
    for name in listed:
        while listed[name] in handed_on:
            listed[name] = handed_on[listed[name]]
    return {name: place for name, place in listed.items() if not name.endswith(".__version__")}


def _all_of(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def modules() -> dict[str, list[str]]:
    """The modules that each room's page shows, ``{"clock": ["jaxrl_evolve.clock"], …}``."""
    rooms: dict[str, set[str]] = {}
    for module in {*ALSO, *(place.rpartition(".")[0] for place in public_names().values())}:
        package, *rest = module.split(".")
        room = package if package == "jaxrl_envs" else rest[0]
        rooms.setdefault(room, set()).add(module)
    return {
        room: sorted(rooms[room]) for room in sorted(rooms, key=lambda room: (room != "jaxrl_envs", room))
    }


def pages() -> dict[str, str]:
    """The text of every page, by its place on the site."""
    texts = {"reference/index.md": _overview()}
    for room, shown in modules().items():
        parts = [f"# `{room}`", *(_entry(module) for module in shown)]
        texts[f"reference/{room}.md"] = "\n\n".join(parts) + "\n"
    return texts


def _entry(module: str) -> str:
    """A module with its own names; those that a package hands on have their entries where they are made."""
    own = [
        place
        for name, place in public_names().items()
        if place == name and place.rpartition(".")[0] == module
    ]
    only = "".join(f"\n        - {name.rpartition('.')[2]}" for name in own)
    return f"::: {module}" + (f"\n    options:\n      members:{only}" if own else "")


def _overview() -> str:
    """Public names by the module that they are imported from; each leads to its entry."""
    by_module: dict[str, list[str]] = {}
    for name, place in public_names().items():
        module, _, last = name.rpartition(".")
        by_module.setdefault(module, []).append(f"[`{last}`][{place}]")
    parts = [
        "# Public names",
        "By what they are imported from. The pages of this section are made from the docstrings.",
    ]
    for module, links in sorted(by_module.items(), key=lambda item: (item[0] != "jaxrl_evolve", item[0])):
        parts += [f"## `{module}`", " · ".join(links)]
    return "\n\n".join(parts) + "\n"


def on_config(config: Any) -> Any:
    """The last section of the navigation."""
    config.nav.append({"Reference": list(pages())})
    return config


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for page, text in pages().items():
        files.append(File.generated(config, page, content=text))
    return files
