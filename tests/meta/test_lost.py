"""A meta-training that nothing can be learned from ends, and says so."""

from __future__ import annotations

from typing import Any

import pytest
import walk
from tiny import TINY

from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.train import meta_train
from jaxrl_evolve.training.interrupts import Diverged


def test_when_all_agents_of_a_generation_diverge_it_ends_the_same_at_once_and_on_resume(tmp_path: Any):
    config = MetaTrainConfig.preset(
        "lpg", walk.NAME, **{**TINY, "generations": 1, "env_options": {"nan_rate": "1.0"}}
    )
    for resume in (False, True):
        with pytest.raises(Diverged, match="all agents of generation 1 diverged.*no objective was stored"):
            meta_train(config, tmp_path / "run", resume=resume)
    assert not {"objective.npz", "result.json"} & {path.name for path in (tmp_path / "run").iterdir()}
