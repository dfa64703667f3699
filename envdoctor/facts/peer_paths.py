"""What lies between the GPUs on the PCI bus."""

from __future__ import annotations

from dataclasses import dataclass, field

# ACS control bits that send peer traffic up to the root complex (PCI Express Base 6.12): request redirect,
# completion redirect, upstream forwarding. Source validation alone (bit 0) is what NVIDIA's guide looks for in lspci.
REDIRECTS = 0x04 | 0x08 | 0x10


@dataclass(frozen=True)
class PeerPaths:
    """IOMMU and Access Control Services on the way from GPU to GPU. Missing without an NVIDIA GPU on the bus.

    Attributes:
        gpus: PCI addresses.
        iommu: per GPU the type of its IOMMU group: "DMA" or "DMA-FQ" (addresses are translated), "identity" (passed
            through), empty without an IOMMU.
        bridges_above: per GPU the bridges between it and the root complex, the outermost first.
        acs: ACS control register of each bridge that has one; only root can read it.
        acs_readable: whether it could be read at all.
        kernel_options: words of the kernel's command line about iommu and pci.
    """

    gpus: tuple[str, ...] = ()
    iommu: dict[str, str] = field(default_factory=dict)
    bridges_above: dict[str, tuple[str, ...]] = field(default_factory=dict)
    acs: dict[str, int] = field(default_factory=dict)
    acs_readable: bool = False
    kernel_options: tuple[str, ...] = ()
    iommu_units: tuple[str, ...] = ()

    @property
    def translated(self) -> tuple[str, ...]:
        """GPUs whose memory accesses an IOMMU translates."""
        return tuple(gpu for gpu in self.gpus if self.iommu.get(gpu, "").startswith("DMA"))

    @property
    def redirecting(self) -> tuple[str, ...]:
        """Bridges above a GPU whose ACS sends peer traffic through the root complex."""
        return tuple(bridge for bridge, control in self.acs.items() if control & REDIRECTS)
