"""How fast the package indexes were for this machine, measured by `envdoctor bench mirrors`' engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MirrorSpeed:
    """What one index is worth to this user.

    Attributes:
        name: as the command line calls it, "tuna" or "official", else its host.
        url: of the index, credentials included.
        expected_s: seconds for all that `pip install torch` fetches, from latency and throughput.
        latency_s: the shortest time to the first byte of an answer.
        bytes_per_s: of a piece of torch's wheel; None if none was fetched.
        newest: the newest torch it lists, empty if that is not known.
    """

    name: str = ""
    url: str = ""
    expected_s: float | None = None
    latency_s: float | None = None
    bytes_per_s: float | None = None
    newest: str = ""


@dataclass(frozen=True)
class MirrorSpeeds:
    """A run over the mirrors. Measured on demand; no section of the patient.

    Attributes:
        best: the fastest that has what pip needs; None where none was usable.
        in_effect: the index pip asks now; None where it was not measured.
        keep: the one in effect is about as fast as the best: a change gains nothing.
        asked: how many indexes were asked.
    """

    best: MirrorSpeed | None = None
    in_effect: MirrorSpeed | None = None
    keep: bool = False
    asked: int = 0
