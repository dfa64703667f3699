"""envdoctor says what is wrong with a PyTorch training environment, why, and the command that mends it.

The names below are all that the author of a check needs; see ``envdoctor.testing`` for testing one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envdoctor.model import (
        Check,
        Finding,
        Missing,
        PerNode,
        Problem,
        Severity,
        Situation,
        Text,
        Topic,
        check,
        summary,
    )

__version__ = "0.1.0"

__all__ = [
    "Check",
    "Finding",
    "Missing",
    "PerNode",
    "Problem",
    "Severity",
    "Situation",
    "Text",
    "Topic",
    "__version__",
    "check",
    "summary",
]


def __getattr__(name: str) -> object:
    # Making the dataclasses takes 20 ms, which `envdoctor --help` need not pay.
    if name in __all__:
        from envdoctor import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
