"""envdoctor/facts/peers.py"""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.facts.gpu import Gpus
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.facts.peers import has_gpus, of, peers
from envdoctor.model import Missing

EIGHT, NONE, ON_THE_BUS = (
    Gpus(count=8),
    Missing("gpu", "not-here"),
    PciDevices((PciDevice(vendor="0x10de", kind="gpu"),)),
)
HUNG, NO_BUS = Missing("gpu", "hung"), Missing("pci", "not-here")


@pytest.mark.parametrize(
    ("gpus", "pci", "found"),
    [
        (EIGHT, NO_BUS, True),
        (NONE, ON_THE_BUS, True),
        (HUNG, ON_THE_BUS, True),
        (NONE, PciDevices(), False),
        (HUNG, PciDevices(), False),
        (NONE, NO_BUS, False),
        (Gpus(count=0), NO_BUS, False),
        (HUNG, NO_BUS, None),
        (Missing("gpu", "not-asked"), Missing("pci", "not-asked"), None),
    ],
)
def test_whether_a_node_has_gpus(gpus: object, pci: object, found: bool | None) -> None:
    assert has_gpus(gpus, pci) is found


def among(**gpus: Any) -> tuple[str, ...]:
    return peers(gpus, {})  # type: ignore[arg-type]


def test_a_login_node_is_no_peer_of_gpu_nodes() -> None:
    assert among(a=EIGHT, b=EIGHT, login=NONE) == ("a", "b")
    assert among(a=EIGHT, login=NONE) == ("a",)
    assert among(a=EIGHT, b=HUNG, login=NONE) == ("a", "b")


def test_a_gpu_node_is_no_peer_of_many_without() -> None:
    assert among(a=EIGHT, b=NONE, c=NONE, d=HUNG) == ("b", "c", "d")
    assert among(a=NONE, b=NONE) == ("a", "b")
    assert among(a=HUNG, b=HUNG) == ("a", "b")


def test_facts_of_some_nodes() -> None:
    assert of({"a": EIGHT, "b": HUNG}, ("a", "b", "c"), Gpus) == {"a": EIGHT, "b": None, "c": None}
