"""envdoctor/facts/meeting.py; the kinds of misfits are tried in tests/checks/test_network.py."""

from __future__ import annotations

from dataclasses import replace

from envdoctor.facts.meeting import Chosen, Misfit, misfits
from envdoctor.facts.nics import Nics, Route
from tests.checks.interfaces import ETH0, LO, nics


def chosen(address: str, *routes: Route, source: str = "") -> Chosen:
    own = replace(nics(LO, (ETH0[0], (address,)), source=source), routes=routes)
    return Chosen(own, next(one for one in own.addresses if one.interface == "eth0"))


ANY = Route("eth0", "0.0.0.0", 0)
TEN = Route("eth0", "10.0.0.0", 8)


def test_a_route_that_covers_the_network_is_a_way() -> None:
    assert not list(misfits({"a": chosen("10.0.0.1/24", TEN), "b": chosen("10.5.0.1/24", TEN)}))
    assert not list(misfits({"a": chosen("10.0.0.1/24", ANY), "b": chosen("10.5.0.1/24", ANY)}))
    assert not list(misfits({"a": chosen("10.0.0.1/24"), "b": chosen("10.5.0.1/24")})), "routes that are not known"
    assert not list(misfits({"a": chosen("10.0.0.1/16", Route("eth0", "?", 0)), "b": chosen("10.0.5.1/24", TEN)}))


def test_without_a_majority_each_side_is_seen_from_the_others() -> None:
    told = list(misfits({"a": chosen("10.0.0.1/24", Route("eth0", "10.0.0.0", 24)), "b": chosen("10.5.0.1/24", TEN)}))
    assert told == [Misfit("no-way", ("a",), ("b",), "eth0", network="10.5.0.0/24")]


def test_nobody_chose_anything() -> None:
    assert not list(misfits({}))
    assert not list(misfits({"a": Chosen(Nics(), ETH_ADDRESS)}))


ETH_ADDRESS = chosen("10.0.0.1/24").address
