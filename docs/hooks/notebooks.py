"""A notebook as a page: its text, its code, and what it printed and drew when it was last run."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any


def as_markdown(path: Path) -> tuple[str, dict[str, bytes]]:
    """The page, and the pictures that it shows by the names of their files."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads(path.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            if picture := output.get("data", {}).get("image/png"):
                name = f"{path.stem}_{len(pictures)}.png"
                pictures[name] = base64.b64decode(picture)
                parts.append(f"![What the cell above draws]({name})")
            elif text := _text(output):
                parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n", pictures


def _text(output: dict[str, Any]) -> str:
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
