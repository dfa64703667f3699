"""GPUs, NVSwitches and network adapters on the PCI bus, and the bridges above them."""

import os
import re

from . import reading
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .sections import Ask

DEVICES = "/sys/bus/pci/devices"
ADDRESS = re.compile(r"^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$")
NVIDIA = "0x10de"
AMD = "0x1002"
# Widths no link has: what a bridge without a link, a virtual one, or a device that does not answer reports.
NO_WIDTHS = (0, 63, 255)


def kind(vendor: str, class_code: str) -> str:
    """What a device is, by the PCI class code; "" for what nobody asked about."""
    base = class_code[:6]
    if base in ("0x0300", "0x0302", "0x0380") or (vendor == AMD and base == "0x1200"):
        return "gpu"
    if base == "0x0680" and vendor == NVIDIA:
        return "nvswitch"
    if base == "0x0207":
        return "infiniband"
    if base[:4] == "0x02":
        return "network"
    return "bridge" if base == "0x0604" else ""


def width(place: str, name: str) -> "Optional[int]":
    told = reading.number(place + "/" + name)
    return None if told in NO_WIDTHS else told


def speed(place: str, name: str) -> str:
    told = reading.line(place + "/" + name) or ""
    return "" if told.startswith("Unknown") else told


def gigatransfers(told: str) -> float:
    """16.0 of "16.0 GT/s PCIe"."""
    number = re.match(r"\d+(?:\.\d+)?", told)
    return float(number.group()) if number else 0.0


def responds(place: str) -> "Optional[bool]":
    """Whether the device answers: one that fell off the bus reads all ones. A sleeping one is not woken to ask."""
    if (reading.line(place + "/power/runtime_status") or "") in ("suspended", "suspending"):
        return None
    head = reading.raw(place + "/config", 4)
    return None if not head or len(head) < 4 else head != b"\xff\xff\xff\xff"


def device(address: str, what: str, vendor: str, class_code: str) -> "Dict[str, Any]":
    place = DEVICES + "/" + address
    above = [name for name in reading.link(place).split("/")[:-1] if ADDRESS.match(name)]
    now, most = width(place, "current_link_width"), width(place, "max_link_width")
    speed_now, speed_most = speed(place, "current_link_speed"), speed(place, "max_link_speed")
    if above:
        port = DEVICES + "/" + above[-1]
        port_most, port_speed = width(port, "max_link_width"), speed(port, "max_link_speed")
        # A virtual machine's port may claim less than the link below it does now: then its word counts for nothing.
        if port_most is not None and (now is None or port_most >= now):
            most = port_most if most is None else min(most, port_most)
        if port_speed and gigatransfers(port_speed) >= gigatransfers(speed_now):
            speed_most = min(speed_most or port_speed, port_speed, key=gigatransfers)
    numa = reading.number(place + "/numa_node")
    bound = place + "/driver"
    return {
        "address": address,
        "vendor": vendor,
        "device": reading.line(place + "/device") or "",
        "class_code": class_code,
        "kind": what,
        "driver": os.path.basename(reading.link(bound)) if reading.exists(bound) else "",
        "link_width": now,
        "link_width_max": most,
        "link_speed": speed_now,
        "link_speed_max": speed_most,
        "numa_node": -1 if numa is None else numa,
        "bridges": above,
        "responds": responds(place) if what in ("gpu", "nvswitch") else None,
    }


def pci(ask: "Ask") -> "Dict[str, Any]":
    if not reading.exists(DEVICES):
        raise NotHere("there is no " + DEVICES)
    found: "List[Dict[str, Any]]" = []
    bridges = {}
    for address in reading.names(DEVICES):
        place = DEVICES + "/" + address
        vendor, class_code = reading.line(place + "/vendor") or "", reading.line(place + "/class") or ""
        what = kind(vendor, class_code)
        if what == "bridge":
            bridges[address] = (vendor, class_code)
        elif what:
            found.append(device(address, what, vendor, class_code))
    above = {bridge for one in found for bridge in one["bridges"]}
    found += [device(address, "bridge", *bridges[address]) for address in sorted(above & set(bridges))]
    return {"devices": found}
