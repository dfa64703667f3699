"""What sits on the PCI bus, whether or not a driver knows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PciDevice:
    """A GPU, an NVSwitch or a network adapter on the bus, from /sys/bus/pci/devices.

    Attributes:
        address: "0000:1b:00.0".
        vendor, device, class_code: as in sysfs, "0x10de", "0x2330", "0x030200".
        kind: "gpu", "nvswitch", "network", "infiniband" or "bridge" (those above one of the others).
        driver: name of the bound kernel driver, empty if none.
        link_width, link_width_max, link_speed, link_speed_max: of the link; None and "" if unknown. `link_width_max`
            and `link_speed_max` are what both ends of the link can do. Speeds as sysfs words them:
            "16.0 GT/s PCIe".
        numa_node: -1 if unknown.
        bridges: addresses of the bridges above the device, from the root down; the last is its upstream port.
        responds: the device answers on the bus; false for one that fell off it (its configuration space reads
            all ones). None if unknown, as for one that is powered down.
    """

    address: str = ""
    vendor: str = ""
    device: str = ""
    class_code: str = ""
    kind: str = ""
    driver: str = ""
    link_width: int | None = None
    link_width_max: int | None = None
    link_speed: str = ""
    link_speed_max: str = ""
    numa_node: int = -1
    bridges: tuple[str, ...] = ()
    responds: bool | None = None


@dataclass(frozen=True)
class PciDevices:
    """GPUs, NVSwitches and network adapters on the bus. Missing where there is no /sys/bus/pci."""

    devices: tuple[PciDevice, ...] = ()

    @property
    def nvidia_gpus(self) -> tuple[PciDevice, ...]:
        return tuple(device for device in self.devices if device.kind == "gpu" and device.vendor == "0x10de")

    @property
    def nvswitches(self) -> tuple[PciDevice, ...]:
        return tuple(device for device in self.devices if device.kind == "nvswitch")
