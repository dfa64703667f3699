"""What lies between the GPUs on the PCI bus: an IOMMU, and Access Control Services, which redirect their traffic."""

import os
import re
import struct

from . import reading
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .sections import Ask

DEVICES = "/sys/bus/pci/devices"
NVIDIA = "0x10de"
DISPLAY = ("0x0300", "0x0302")
ADDRESS = re.compile(r"^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$")
ACS_CAPABILITY = 0x000D  # PCI Express extended capability "Access Control Services"


def acs_control(configuration: "Optional[bytes]") -> "Optional[int]":
    """The ACS control register in a PCI configuration space; None where only its first 64 bytes are readable or the
    device has no ACS."""
    if configuration is None or len(configuration) < 0x104:
        return None
    place = 0x100
    for _ in range(96):
        if place < 0x100 or place + 8 > len(configuration):
            return None
        header = struct.unpack_from("<I", configuration, place)[0]
        if header in (0, 0xFFFFFFFF):
            return None
        if header & 0xFFFF == ACS_CAPABILITY:
            return int(struct.unpack_from("<H", configuration, place + 6)[0])
        place = header >> 20
    return None


def gpus() -> "List[str]":
    found = []
    for address in reading.names(DEVICES):
        folder = "%s/%s/" % (DEVICES, address)
        if reading.line(folder + "vendor") == NVIDIA and (reading.line(folder + "class") or "").startswith(DISPLAY):
            found.append(address)
    return found


def peer_paths(ask: "Ask") -> "Dict[str, Any]":
    found = gpus()
    if not found:
        raise NotHere("no NVIDIA GPU on the PCI bus")
    translation = {}
    bridges: "Dict[str, Any]" = {}
    ancestors = {}
    for address in found:
        translation[address] = reading.line("%s/%s/iommu_group/type" % (DEVICES, address)) or ""
        parts = [part for part in reading.link("%s/%s" % (DEVICES, address)).split("/") if ADDRESS.match(part)]
        ancestors[address] = parts[:-1]
        for bridge in parts[:-1]:
            if bridge not in bridges:
                bridges[bridge] = acs_control(reading.raw("%s/%s/config" % (DEVICES, bridge), 4096))
    words = (reading.line("/proc/cmdline") or "").split()
    return {
        "gpus": found,
        "iommu": translation,
        "bridges_above": ancestors,
        "acs": dict((address, control) for address, control in bridges.items() if control is not None),
        "acs_readable": os.access(reading.rooted("%s/%s/config" % (DEVICES, found[0])), os.R_OK)
        and len(reading.raw("%s/%s/config" % (DEVICES, found[0]), 4096) or b"") > 256,
        "kernel_options": [word for word in words if "iommu" in word or word.startswith("pci=")],
        "iommu_units": reading.names("/sys/class/iommu"),
    }
