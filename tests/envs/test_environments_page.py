"""The environments page: its Python blocks run."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "environments.md"


def test_python_blocks_run(monkeypatch):
    from jaxrl_envs import registry

    monkeypatch.setattr(registry, "_registered", {})
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 5
    names = {"__name__": "environments_page"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert registry.available("mine") == ["mine/Line-v0"]
