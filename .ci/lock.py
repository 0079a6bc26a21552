"""Write constraints.txt: one exact version of every dependency for each supported Python.

Usage: python .ci/lock.py python3.11 python3.12 python3.13

Each interpreter resolves the project with every extra but `cuda` (whose libraries follow jax's own
pins). Where they agree the line is plain, where they differ it carries an environment marker.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXTRAS = "dev,atari,craftax,docs,llm,octax,text,video,wandb"
HEADER = """\
# Exact versions for reproducible installs: pip install -c constraints.txt -e .[dev]
# Written by .ci/lock.py on Linux x86-64; do not edit by hand.
"""


def resolve(python: str) -> tuple[str, dict[str, str]]:
    """The interpreter's version ("3.11") and the resolution it arrives at, {name: version}."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", f"{folder}/venv"], check=True)
        pip = [f"{folder}/venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        report = f"{folder}/report.json"
        subprocess.run([*pip, "--dry-run", "--report", report, f"{ROOT}[{EXTRAS}]"], check=True)
        found = json.loads(Path(report).read_text())
    names = (item["metadata"] for item in found["install"])
    pins = {re.sub(r"[-_.]+", "-", m["name"]).lower(): m["version"] for m in names}
    pins.pop("jaxrl-evolve")
    return found["environment"]["python_version"], pins


def main(interpreters: list[str]) -> None:
    resolved = dict(resolve(python) for python in interpreters)
    lines = []
    for name in sorted(set().union(*resolved.values())):
        by_version: dict[str, list[str]] = {}
        for python, pins in resolved.items():
            if name in pins:
                by_version.setdefault(pins[name], []).append(python)
        for version, pythons in by_version.items():
            everywhere = len(pythons) == len(resolved)
            marker = " or ".join(f'python_version == "{p}"' for p in pythons)
            lines.append(f"{name}=={version}" + ("" if everywhere else f" ; {marker}"))
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:] or ["python3.11", "python3.12", "python3.13"])
