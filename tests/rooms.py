"""The plan of the house, counted: rooms, what they import, and how many floors that makes.

    python tests/rooms.py [FOLDER]

A room is a folder of a package, or a module that lies beside the folders. An arrow is a pair of rooms of which one imports
the other. The floor of a room is the length of the longest chain of imports below it; rooms that import each other in a
circle share one. Imports inside functions count, those under ``TYPE_CHECKING`` do not.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"jaxrl_evolve": "jaxrl_evolve", "jaxrl_envs": "envs/jaxrl_envs"}
ORDER = (
    *("jaxrl_envs", "_cpu", "files", "compilation", "random", "clock", "trajectory"),
    *(
        "settings",
        "experience",
        "networks",
        "objectives",
        "preferences",
        "learners",
        "algorithms",
        "storage",
        "results",
        "runs",
    ),
    *("curricula", "training", "self_play", "generation", "meta", "meta_test", "command"),
)
"""The rooms from the ground up: one imports only such as stand before it."""


class Import(NamedTuple):
    """One import between two rooms."""

    room: str
    of: str
    file: str
    line: int


class Plan(NamedTuple):
    """What was counted.

    Attributes:
        rooms: their names.
        imports: every import that leads from one room to another.
        arrows: the pairs of rooms that these connect.
        circles: groups of rooms that reach each other.
        floors: number of floors.
    """

    rooms: set[str]
    imports: list[Import]
    arrows: set[tuple[str, str]]
    circles: list[set[str]]
    floors: int


def room_of(module: str) -> str:
    """The room of a dotted module; environments are one room, the package's own file none."""
    package, _, rest = module.partition(".")
    return package if package == "jaxrl_envs" else rest.partition(".")[0]


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Modules of the two packages that a file imports, with the line."""
    tree = ast.parse(path.read_text())
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.partition(".")[0] in PACKAGES:
                yield name, node.lineno


def plan(root: Path = ROOT) -> Plan:
    """The plan of a checkout."""
    rooms: set[str] = {"jaxrl_envs"}
    imports: list[Import] = []
    for package, folder in PACKAGES.items():
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            room = package if package == "jaxrl_envs" else parts[0]
            if room in ("__init__", "__main__"):  # the front door reaches every room
                continue
            rooms.add(room)
            for module, line in imported(path):
                other = room_of(module)
                if other and other != room and not other[0].isupper() and other != "__version__":
                    imports.append(Import(room, other, str(path.relative_to(root)), line))
    imports = [i for i in imports if i.of in rooms or i.of == "jaxrl_envs"]
    arrows = {(i.room, i.of) for i in imports}
    circles = _circles(rooms, arrows)
    return Plan(rooms, imports, arrows, circles, _floors(rooms, arrows, circles))


def upward(plan: Plan, order: tuple[str, ...] = ORDER) -> list[Import]:
    """Imports of a room that stands no lower than the one that imports."""
    place = {room: i for i, room in enumerate(order)}
    return [i for i in plan.imports if place[i.of] >= place[i.room]]


def _reach(rooms: set[str], arrows: set[tuple[str, str]]) -> dict[str, set[str]]:
    reach = {room: {b for a, b in arrows if a == room} for room in rooms}
    for middle in rooms:
        for room in rooms:
            if middle in reach[room]:
                reach[room] |= reach[middle]
    return reach


def _circles(rooms: set[str], arrows: set[tuple[str, str]]) -> list[set[str]]:
    reach = _reach(rooms, arrows)
    groups: list[set[str]] = []
    for room in sorted(rooms):
        if room in reach[room] and not any(room in group for group in groups):
            groups.append({other for other in reach[room] if room in reach[other]})
    return groups


def _floors(rooms: set[str], arrows: set[tuple[str, str]], circles: list[set[str]]) -> int:
    one_of: Mapping[str, str] = {room: min(group) for group in circles for room in group}
    name = lambda room: one_of.get(room, room)
    below = {(name(a), name(b)) for a, b in arrows if name(a) != name(b)}
    floor: dict[str, int] = {}

    def height(room: str) -> int:
        if room not in floor:
            floor[room] = 1 + max((height(b) for a, b in below if a == room), default=0)
        return floor[room]

    return max(height(name(room)) for room in rooms)


def long_functions(root: Path = ROOT, lines: int = 60) -> list[tuple[int, str]]:
    """Functions with more than ``lines`` lines of code: blank lines, comments and docstrings do not count."""
    found = []
    for folder in PACKAGES.values():
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text()
            source = text.splitlines()
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    told = {
                        line
                        for inner in ast.walk(node)
                        if isinstance(inner, ast.Expr)
                        and isinstance(inner.value, ast.Constant)
                        and isinstance(inner.value.value, str)
                        for line in range(inner.lineno, (inner.end_lineno or inner.lineno) + 1)
                    }
                    code = [
                        i
                        for i in range(node.lineno, (node.end_lineno or node.lineno) + 1)
                        if i not in told
                        and source[i - 1].strip()
                        and not source[i - 1].strip().startswith("#")
                    ]
                    if len(code) > lines:
                        found.append((len(code), f"{path.relative_to(root)}:{node.lineno} {node.name}"))
    return sorted(found, reverse=True)


def long_files(root: Path = ROOT, lines: int = 300) -> list[tuple[int, str]]:
    """Files with more than ``lines`` lines."""
    found = []
    for folder in PACKAGES.values():
        for path in sorted((root / folder).rglob("*.py")):
            count = len(path.read_text().splitlines())
            if count > lines:
                found.append((count, str(path.relative_to(root))))
    return sorted(found, reverse=True)


def main() -> None:
    """Print what there is."""
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    found = plan(root)
    known = found.rooms <= set(ORDER)
    rising = str(len({(i.room, i.of) for i in upward(found)})) if known else "not the rooms of today's plan"
    print(
        f"rooms {len(found.rooms)}, floors {found.floors}, arrows {len(found.arrows)}, upward {rising}, ",
        end="",
    )
    print(f"circles {[sorted(group) for group in found.circles] or 'none'}")
    print("functions over 60 lines of code:", *(long_functions(root) or ["none"]), sep="\n  ")
    print("files over 300 lines:", *(long_files(root) or ["none"]), sep="\n  ")


if __name__ == "__main__":
    main()
