"""Runs the patient where its sources came in over standard input.

Before the patient's records go {"hello": interpreter, "clock": seconds} and, for each of the doctor's first words,
{"clock": seconds}: from the time one of these takes, the doctor knows how far the two clocks are apart. Each word is
the number of seconds that are left for the examination: how long the way here took, only the doctor knows.

Streamed; Python 3.6 syntax, standard library only.
"""

import importlib
import json
import os
import select
import signal
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    Record = Dict[str, Any]

PACKAGE = "envdoctor_patient"
WORDS = 3  # of the doctor, which are answered with the time
ANSWER_S = 1.0  # for the next word; a doctor that is further away than this has to do without


def tell(cookie: bytes, record: "Record") -> None:
    os.write(1, cookie + json.dumps(record).encode("ascii") + b"\n")


def compare_clocks(cookie: bytes, limit_s: float) -> float:
    """Tell the doctor the time whenever it asks, which it does at once; the seconds that it leaves us."""
    tell(cookie, {"hello": sys.executable, "clock": time.time()})
    for _ in range(WORDS):
        word = os.read(0, 1 << 12) if select.select([0], [], [], ANSWER_S)[0] else b""
        if not word:
            break
        tell(cookie, {"clock": time.time()})
        limit_s = min(limit_s, float(word.split()[-1]))
    return limit_s


def follow_the_doctor() -> None:
    """The end of standard input means that the doctor is gone: the patient ends its children and itself."""
    try:
        while os.read(0, 1 << 12):
            pass
    except OSError:
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(request: "Record", whole: "Record") -> None:
    """Entry point of the streamed program. `request` is the patient's own, and `environ` the variables to set."""
    os.environ.update(request.pop("environ", None) or {})
    importlib.import_module(PACKAGE + ".fresh").SOURCES.update(whole["modules"])
    program = importlib.import_module(PACKAGE + ".__main__")
    cookie = str(request.get("cookie") or "").encode("ascii")
    request["limit_s"] = compare_clocks(cookie, float(request["limit_s"]))
    threading.Thread(target=follow_the_doctor, daemon=True).start()
    program.main(json.dumps(request))
