"""Losses of preferences as TRL has them, and their gradients, on fixed log-probabilities: what `tests/learners/test_sequence_trl.py` compares with.

    PYTHON benchmarks/preference_losses.py benchmarks/results/preference_losses.json

with an interpreter that has torch 2.13.0 and trl 1.16.0 (DPO, IPO, `sppo_hard`), then with one that has trl 1.13.0 (Nash-MD, which later ones have not). Each
writes its own part of the file. Trainers are made without their constructors, and a stand-in for the model hands out the log-probabilities.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

LENGTHS = [3, 4, 1, 2, 2, 4]
"""Tokens of the completions: three preferred ones, then the others of their pairs."""
POLICY = [
    [-0.3, -1.1, -0.7, 0.0],
    [-0.2, -0.4, -1.9, -0.6],
    [-1.3, 0.0, 0.0, 0.0],
    [-0.9, -0.5, 0.0, 0.0],
    [-2.1, -0.8, 0.0, 0.0],
    [-0.1, -0.6, -0.4, -1.5],
]
REFERENCE = [
    [-0.8, -0.9, -1.2, 0.0],
    [-0.5, -0.3, -1.1, -0.7],
    [-0.6, 0.0, 0.0, 0.0],
    [-0.4, -0.7, 0.0, 0.0],
    [-1.2, -1.0, 0.0, 0.0],
    [-0.9, -0.2, -0.8, -0.5],
]
PROBABILITY = [0.9, 0.5, 0.2, 1.0, 0.0, 0.65]
"""That each beats the mixture's answer, for Nash-MD."""


def of_pairs(kind: str, beta: float) -> dict[str, Any]:
    """A loss of `DPOTrainer`: its value, the mean over pairs, and its gradient in the log-probabilities of tokens."""
    import torch
    from trl import DPOTrainer

    there = torch.arange(4)[None] < torch.tensor(LENGTHS)[:, None]
    mask = torch.cat([torch.zeros(6, 1, dtype=torch.bool), there], 1).long()  # one token of the prompt
    log_probs = torch.tensor(POLICY, requires_grad=True)
    reference = torch.tensor(REFERENCE).sum(1)
    zeros = torch.zeros(6, 4)
    answer = SimpleNamespace(log_probs=log_probs, entropy=zeros, mean_logits=zeros, is_top1=zeros > 0)
    trainer: Any = DPOTrainer.__new__(DPOTrainer)
    same = lambda x: x
    vars(trainer).update(
        model=SimpleNamespace(training=False),
        accelerator=SimpleNamespace(device="cpu", gather=same, gather_for_metrics=same),
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        loss_types=[kind],
        loss_weights=[1.0],
        beta=beta,
        label_smoothing=0.0,
        use_weighting=False,
        _metrics={"eval": defaultdict(list)},
        _total_train_tokens=0,
    )
    inputs = {
        "input_ids": torch.ones(6, 5, dtype=torch.long),
        "completion_mask": mask,
        "ref_chosen_logps": reference[:3],
        "ref_rejected_logps": reference[3:],
    }
    return told(trainer._compute_loss(lambda **_: answer, inputs, False), log_probs, beta)


def nash_md(beta: float) -> dict[str, Any]:
    """The loss of `NashMDTrainer`, the mean over all six completions."""
    import torch
    from trl.experimental.nash_md import NashMDTrainer

    log_probs = torch.tensor(POLICY, requires_grad=True)
    trainer: Any = NashMDTrainer.__new__(NashMDTrainer)
    trainer._beta = [beta]
    trainer.state = SimpleNamespace(epoch=0)
    loss, *_ = trainer._compute_losses(log_probs, torch.tensor(REFERENCE), torch.tensor(PROBABILITY))
    return told(loss, log_probs, beta)


def told(loss: Any, log_probs: Any, beta: float) -> dict[str, Any]:
    """Numbers for the file."""
    loss.backward()
    return {"beta": beta, "loss": loss.item(), "gradient": log_probs.grad.tolist()}


def main(path: Path) -> None:
    """Write what the installed version says into the file, beside what is there of others."""
    import trl

    known = json.loads(path.read_text()) if path.exists() else {}
    known["inputs"] = {
        "lengths": LENGTHS,
        "policy": POLICY,
        "reference": REFERENCE,
        "probability": PROBABILITY,
    }
    if trl.__version__ == "1.13.0":
        mine = {"nash_md": nash_md(0.1)}
    else:
        mine = {f"{kind} {beta:g}": of_pairs(kind, beta) for kind in KINDS for beta in (0.1, 0.5)}
    known[f"trl {trl.__version__}"] = mine
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


KINDS = ("sigmoid", "ipo", "sppo_hard")

if __name__ == "__main__":
    main(Path(sys.argv[1]))
