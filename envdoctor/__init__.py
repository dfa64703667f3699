"""envdoctor says what is wrong with a PyTorch training environment, why, and the command that mends it.

The names below are all that the author of a check needs; see ``envdoctor.testing`` for testing one.
"""

from __future__ import annotations

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
