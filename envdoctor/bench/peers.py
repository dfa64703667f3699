"""The TCP rungs between machines: every node dials its peers, pushes a bulk to them, and streams to the next one.

Streamed to every node; Python 3.6 syntax, standard library only.
"""

import threading
import time

from envdoctor.bench import ways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    Record = Dict[str, Any]


def dial(event: "Record") -> "Record":
    """Dial the listener of each peer: how many were reached, and the shortest round trips while nothing else is sent.
    Raises Cause with the outcome of each that was not reached."""
    peers = {int(node): (str(place[0]), int(place[1])) for node, place in event["peers"].items()}
    outcomes = ways.dial_all(peers)
    bad = {node: outcome for node, (outcome, _) in outcomes.items() if outcome != "connected"}
    if bad:
        raise ways.Cause("unreached", peers=bad, reached=len(outcomes) - len(bad))
    return {"reached": len(outcomes), "rtt_us": {node: rtt_us for node, (_, rtt_us) in outcomes.items()}}


def bulk(event: "Record") -> "Record":
    """A bulk to each peer, side by side, or a stream to one for some time. Raises Cause where one stalls."""
    told: "Dict[str, Record]" = {}

    def one(node: str, address: str, port: int) -> None:
        size, seconds = int(event.get("size") or 0), float(event.get("seconds") or 0.0)
        told[node] = ways.push(address, port, size, seconds, event.get("from") or ())

    threads = [
        threading.Thread(target=one, args=(node, str(place[0]), int(place[1])), daemon=True)
        for node, place in event["peers"].items()
    ]
    began, used = time.monotonic(), sum(ways.WANTED)
    for thread in threads:
        thread.start()
    until = began + float(event["limit_s"])
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    # What comes in meanwhile is part of it: a rank of gloo sends and receives in one thread.
    busy = (sum(ways.WANTED) - used) / max(1e-6, time.monotonic() - began)
    rows = dict(told)  # threads that are late still add to the other one
    for row in rows.values():
        row["busy"] = round(busy, 3)
    bad = {node: row for node, row in rows.items() if row["outcome"] != "ok"}
    for node in event["peers"]:
        if node not in rows:
            bad[node] = {"outcome": "stalled"}
    if bad and not event.get("seconds"):  # of streams, the rate of one that stalls is simply not known
        raise ways.Cause("stalled", peers=bad)
    return {"peers": rows, "rail": int(event.get("rail") or 0)}
