"""Reads what `ip address`, `ifconfig`, `ibstat`, `ibstatus`, `show_gids` and `ethtool` list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from envdoctor.facts.log import Place, Sighting
from envdoctor.facts.network_listing import ListedAdapter, ListedGid, NetworkListing
from envdoctor.readers.passage import Passage

MOST = 1024

# iproute2: "2: eth0@if7: <BROADCAST,...> mtu 1500"; `ip -br`: "eth0@if7  UP  10.0.0.1/24"; net-tools, new and old.
INTERFACE = re.compile(
    r"^\s{0,8}\d{1,4}: ([\w.-]{1,15})(?:@[\w.-]{1,15})?: <[A-Z_,-]{2,80}> mtu "
    r"|^\s{0,8}([\w.-]{1,15})(?::\d{1,3})?:? (?:flags=\d{1,6}<| {0,12}Link encap:)"
    r"|^\s{0,8}([\w.-]{1,15})(?:@[\w.-]{1,15})? {1,16}(?:UP|DOWN|UNKNOWN) {1,16}(?:\d|[0-9a-f:]{3})"
)
ADAPTER = re.compile(r"^\s{0,8}(?:CA '|Infiniband device ')([\w-]{2,40})'")
MODEL = re.compile(r"^\s{1,20}CA type: (\S{2,40})")
STATE = re.compile(r"^\s{1,20}[Ss]tate:\s{1,20}(?:\d: )?(\w{2,20})")
RATE = re.compile(r"^\s{1,20}[Rr]ate:\s{1,20}(\d{1,4}(?:\.\d)?)(?: Gb/sec|\s*$)")
LAYER = re.compile(r"^\s{1,20}[Ll]ink[_ ]layer:\s{1,20}(\w{2,20})")
# show_gids of MLNX_OFED: adapter, port, index, GID, IPv4 address where there is one, version, interface.
GID = re.compile(
    r"^\s{0,8}([a-z][\w-]{2,40})\s{1,16}\d{1,2}\s{1,16}(\d{1,3})\s{1,16}((?:[0-9a-f]{4}:){7}[0-9a-f]{4})\s[^\n]{0,80}\bv[12]\b"
)
SPEED = re.compile(r"^\s{1,16}Speed: (\d{2,7})Mb/s")


class NetworkListingReader:
    """Names of interfaces, and the adapters with what is listed below each of them."""

    def __init__(self) -> None:
        self._interfaces: dict[str, None] = {}
        self._adapters: dict[str, ListedAdapter] = {}
        self._gids: dict[ListedGid, None] = {}
        self._speed = 0
        self._now = ""
        self._place = Place()

    def needles(self) -> Mapping[str, int]:
        interfaces = (": <", "flags=", "Link encap:", " UP ", " DOWN ", " UNKNOWN ")
        adapters = ("CA '", "Infiniband device '", "CA type: ", "tate:", "ate:", "ink layer:", "ink_layer:")
        return dict.fromkeys((*interfaces, *adapters, "ffff:", "fe80:", "Speed: "), MOST)

    def read(self, passage: Passage) -> None:
        text = passage.line.raw[:300]
        if found := INTERFACE.search(text):
            if len(self._interfaces) < MOST:
                self._interfaces.setdefault(found[1] or found[2] or found[3], None)
        elif found := ADAPTER.search(text):
            self._now = found[1]
            if len(self._adapters) < MOST:
                self._adapters.setdefault(self._now, ListedAdapter(self._now))
        elif found := GID.search(text):
            if len(self._gids) < MOST:
                self._gids.setdefault(ListedGid(found[1], int(found[2]), found[3]), None)
        elif found := SPEED.search(text):
            self._speed = max(self._speed, int(found[1]))
        elif self._now in self._adapters:
            self._detail(text)
        if not self._place.line and (self._interfaces or self._adapters or self._gids or self._speed):
            self._place = passage.place

    def _detail(self, text: str) -> None:
        one = self._adapters[self._now]
        if found := MODEL.search(text):
            one = replace(one, model=found[1])
        elif found := STATE.search(text):
            one = replace(one, active=found[1].upper() == "ACTIVE")
        elif found := RATE.search(text):
            one = replace(one, rate_gbps=float(found[1]))
        elif found := LAYER.search(text):
            one = replace(one, layer=found[1])
        self._adapters[self._now] = one

    def facts(self) -> Mapping[str, object]:
        if not self._interfaces and not self._adapters and not self._gids and not self._speed:
            return {}
        fact = NetworkListing(tuple(self._interfaces), tuple(self._adapters.values()), tuple(self._gids), self._speed)
        return {"network-listing": fact}

    def places(self) -> Mapping[str, Place]:
        return {"network-listing": self._place} if self._place.line else {}

    def sightings(self) -> Sequence[Sighting]:
        return ()
