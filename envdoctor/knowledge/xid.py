"""Xid errors: what a number in the kernel's log means and what to do about it: xid.toml."""

from __future__ import annotations

from dataclasses import dataclass

from envdoctor import knowledge


@dataclass(frozen=True)
class Xid:
    """One kind of error.

    Attributes:
        action: "restart-app", "reset", "reboot", "power", "vm", "link", "watch" or "told" (the message says it).
        about: "app", "memory", "bus", "nvlink", "firmware" or "hardware".
        en, zh: what has happened.
    """

    number: int
    action: str
    about: str
    en: str
    zh: str


def known(number: int | None) -> Xid | None:
    """What is known of a number; None for one the table lacks."""
    return next((row for row in rows() if row.number == number), None)


def rows() -> tuple[Xid, ...]:
    """The whole table."""
    return knowledge.rows("xid", "xid", Xid)
