"""What time it is here. Whoever asked knows when it asked, and so how far the two clocks are apart."""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from .sections import Ask


def clock(ask: "Ask") -> "Dict[str, Any]":
    return {"time_s": round(time.time(), 3)}
