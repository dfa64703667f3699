"""envdoctor/knowledge/room.py"""

from __future__ import annotations

from envdoctor.facts.disks import Disks, Place
from envdoctor.knowledge.room import Shortage, shortages

SITE = "/opt/envs/train/lib/python3.11/site-packages"


def disks(root: float | None, opt: float) -> Disks:
    free = None if root is None else int(root)
    return Disks((
        Place("temporary", "/tmp", mount_point="/", free_bytes=free),
        Place("pip-cache", "/home/ada/.cache/pip", mount_point="/", free_bytes=free),
        Place("home", "/opt/home", mount_point="/opt", free_bytes=int(opt)),
        Place("torch-hub", "/opt/hub", answers=False),
    ))  # fmt: skip


def test_downloads_and_packages_are_counted_where_they_lie() -> None:
    assert shortages(disks(7e9, 8e9), SITE, cuda=True) == (Shortage("/", 7.2e9, 7_000_000_000),)
    assert shortages(disks(8e9, 7e9), SITE, cuda=True) == (Shortage("/opt", 7.5e9, 7_000_000_000),)
    assert shortages(disks(1e9, 2e9), SITE, cuda=False) == ()


def test_what_lies_together_is_added_up_and_what_is_unknown_is_no_shortage() -> None:
    (short,) = shortages(disks(14e9, 1e9), "/usr/lib/python3/site-packages", cuda=True)
    assert (short.mount_point, round(short.needs / 1e9, 1)) == ("/", 14.7)
    assert shortages(disks(None, 8e9), SITE, cuda=True) == ()
    assert shortages(None, SITE, cuda=True) == ()
