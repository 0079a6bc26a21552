"""Meta-testing: learned objectives against each other, against clocks that lie, and against tuned baselines.

Names are imported on first use: settings are described without what tests by them.
"""

from typing import TYPE_CHECKING

from jaxrl_evolve.settings.later import on_first_use

if TYPE_CHECKING:
    from jaxrl_evolve.meta_test.config import MetaTestConfig, TuningConfig
    from jaxrl_evolve.meta_test.run import MetaTestResult, meta_test

_MODULE_OF = {
    "MetaTestConfig": "config",
    "MetaTestResult": "run",
    "TuningConfig": "config",
    "meta_test": "run",
}

__all__ = ["MetaTestConfig", "MetaTestResult", "TuningConfig", "meta_test"]

__getattr__ = on_first_use(__name__, _MODULE_OF)
