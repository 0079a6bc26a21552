"""What Hugging Face's transformers says of two tiny models: a program that writes it down, with the models' weights by a formula.

    python tests/transformers_logits.py

needs torch and transformers, and writes ``tests/networks/transformers_logits.json``: for each kind the ``config.json`` that transformers writes, and the logits ``[S, V]``
of a sequence. What reads that file needs neither.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

CONSTANTS = Path(__file__).parent / "networks" / "transformers_logits.json"
TOKENS = (2, 7, 0, 5, 5, 1)
SHAPE = {
    "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 10, "max_position_embeddings": 16, "rms_norm_eps": 1e-3,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "Llama": {"head_dim": 6, "tie_word_embeddings": False},
    "Qwen2": {"tie_word_embeddings": True},
}


def weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Tensors by name, float32: sines of their own phase; scales are near 1."""
    found = {}
    for i, name in enumerate(sorted(shapes)):
        wave = np.sin(0.7 * np.arange(np.prod(shapes[name])) + i).reshape(shapes[name])
        found[name] = (0.5 * wave + ("norm" in name)).astype(np.float32)
    return found


def main() -> None:
    """Write the constants."""
    import torch
    import transformers

    told: dict[str, Any] = {"tokens": TOKENS, "transformers": transformers.__version__}
    for kind, more in KINDS.items():
        config = getattr(transformers, f"{kind}Config")(**SHAPE, **more)
        model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
        own = model.state_dict()
        shapes = {name: tuple(x.shape) for name, x in own.items()}
        if config.tie_word_embeddings:
            shapes.pop("lm_head.weight")
        made = weights(shapes)
        model.load_state_dict({name: torch.tensor(x) for name, x in made.items()}, strict=False)
        with torch.no_grad():
            logits = model(torch.tensor([TOKENS])).logits[0].numpy()
        told[kind] = {
            "config": json.loads(config.to_json_string(use_diff=False)),
            "shapes": shapes,
            "logits": [[float(f"{x:.7g}") for x in row] for row in logits],
        }
    CONSTANTS.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
