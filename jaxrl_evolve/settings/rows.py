"""Names in rows of metrics that the library writes itself, and that no metric of a learner or an objective may have."""

from __future__ import annotations

OF_EPISODES = "episode_"
"""What names of means over the episodes that ended begin with; of no episode they are NaN."""
OF_EVALUATION = "eval_"
"""What names of an evaluation's means begin with."""
OF_CURRICULUM = "curriculum_"
"""What names of a curriculum's metrics begin with."""

SCORING_STEPS = "scoring_steps"
"""Environment steps that a curriculum took besides so far (its scouts, its own agents), from which the learner learned nothing; in rows, and in ``result.json``."""

_PREFIXES = (OF_EPISODES, OF_EVALUATION, OF_CURRICULUM)
_NAMES = ("env_steps", "updates", "seconds", "episodes", SCORING_STEPS, "proposing_steps")
_ELSEWHERE = ("diverged", "steps_per_second", "compile_seconds", "run_seconds", "final_return")
"""In no row of a training, but in ``result.json``, or beside the metrics of agents in meta-training."""


def is_taken(name: str) -> bool:
    """Whether a name is the library's."""
    return name in _NAMES or name in _ELSEWHERE or name.startswith(_PREFIXES)
