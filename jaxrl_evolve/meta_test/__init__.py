"""Meta-testing: learned objectives against each other, against clocks that lie, and against tuned baselines.

Names are imported on first use: settings are described without what tests by them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
