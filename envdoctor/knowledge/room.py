"""How much room an installation of torch takes, and where there is too little of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envdoctor.facts.disks import Disks, Place

# Bytes of the wheels of a CUDA build: torch 0.9e9 and NVIDIA's 2.5e9 packed, about twice that unpacked; a CPU build has
# 0.2e9 and 0.9e9 (files of torch 2.8 to 2.14 for Linux x86_64 on the official index).
DOWNLOAD = {True: 3.6e9, False: 0.3e9}
UNPACKED = {True: 7.5e9, False: 1.0e9}


@dataclass(frozen=True)
class Shortage:
    """A file system with less room, in bytes, than the installation needs there."""

    mount_point: str
    needs: float
    free: int


def shortages(disks: Disks | None, site: str, cuda: bool) -> tuple[Shortage, ...]:
    """The file systems that the installation would fill.

    pip keeps what it downloads in the temporary folder and its cache; the packages go to `site`.

    Args:
        site: the folder of the packages; "" if unknown.
        cuda: whether it is a build for CUDA.
    """
    places = [place for place in (disks.places if disks else ()) if place.mount_point]
    needs = {place.mount_point: 0.0 for place in places}
    for use in ("temporary", "pip-cache"):
        for place in places:
            if place.use == use:
                needs[place.mount_point] += DOWNLOAD[cuda]
    above = [place.mount_point for place in places if _below(site, place)]
    if above:
        needs[max(above, key=len)] += UNPACKED[cuda]
    free = {place.mount_point: place.free_bytes for place in places}
    return tuple(
        Shortage(mount, need, had) for mount, need in needs.items() if (had := free[mount]) is not None and had < need
    )


def _below(path: str, place: Place) -> bool:
    return path.startswith(place.mount_point.rstrip("/") + "/")
