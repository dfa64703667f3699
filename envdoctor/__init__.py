"""envdoctor says what is wrong with a PyTorch training environment, why, and the command that mends it.

The names below are all that the author of a check needs; see ``envdoctor.testing`` for testing one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envdoctor.columns import each
    from envdoctor.errors import UsageError
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
    from envdoctor.remedy import (
        ByHand,
        EditFile,
        Files,
        Fix,
        Option,
        Place,
        Plan,
        Remark,
        RunCommand,
        Said,
        fix,
        said,
    )

__version__ = "0.1.0"

__all__ = [
    "ByHand",
    "Check",
    "EditFile",
    "Files",
    "Finding",
    "Fix",
    "Missing",
    "Option",
    "PerNode",
    "Place",
    "Plan",
    "Problem",
    "Remark",
    "RunCommand",
    "Said",
    "Severity",
    "Situation",
    "Text",
    "Topic",
    "UsageError",
    "__version__",
    "check",
    "each",
    "fix",
    "said",
    "summary",
]


def __getattr__(name: str) -> object:
    # Making the dataclasses takes 20 ms, which `envdoctor --help` need not pay.
    if name in __all__:
        from envdoctor import columns, errors, model, remedy

        home = next(module for module in (model, remedy, errors, columns) if hasattr(module, name))
        return getattr(home, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
