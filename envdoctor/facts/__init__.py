"""What is observed, as frozen dataclasses without judgement. One module per group; `KINDS` names them all.

A section of the patient decodes into the dataclass of the same name. Fields have defaults, so that a snapshot of an
older or newer version still reads: unknown fields are dropped, absent ones take their default.
"""

from __future__ import annotations

import functools
import importlib

# section name -> module:class within this package; imported only when a section of that name is decoded.
KINDS = {
    "asked": "asked:Asked",
    "host": "host:Host",
    "environment": "environment:Environment",
    "clock": "clock:Clock",
    "limits": "limits:Limits",
    "python": "python:Python",
    "torch-install": "torch:TorchInstall",
    "torch-import": "torch:TorchImport",
    "torch-cuda": "torch:TorchCuda",
    "import-autopsy": "autopsy:ImportAutopsy",
    "driver": "driver:Driver",
    "gpu": "gpu:Gpus",
    "pci": "pci:PciDevices",
    "kernel-log": "kernel_log:KernelLog",
    "pip-config": "pip:PipConfig",
    "pip-effective": "pip:PipEffective",
    "packages": "packages:Packages",
    "libraries": "libraries:Libraries",
    "mapped-libraries": "libraries:MappedLibraries",
    "toolkit": "toolkit:Toolkit",
    "host-names": "names:HostNames",
    "rendezvous-port": "rendezvous:RendezvousPort",
    "nics": "nics:Nics",
    "nccl": "nccl:NcclSettings",
    "rdma": "rdma:Rdma",
    "peer-paths": "peer_paths:PeerPaths",
    "name-resolution": "names:NameResolution",
    "rendezvous-reach": "rendezvous:RendezvousReach",
    "cpu": "cpu:Cpu",
    "disks": "disks:Disks",
    "shell-files": "shell_files:ShellFiles",
    "new-shells": "new_shells:NewShells",
    "network-settings": "network_settings:NetworkSettings",
    "index-probes": "index:IndexProbes",
    "asked-places": "index:AskedPlaces",
    "conda-config": "conda:CondaConfig",
    "uv-config": "uv:UvConfig",
    "uv-effective": "uv:UvEffective",
    "allreduce": "allreduce:AllreduceResult",
    "reached": "reached:Reached",
    "nccl-log": "nccl_log:NcclLog",
    "network-listing": "network_listing:NetworkListing",
    "log": "log:Log",
}

# Sections that no machine gives: what only a text tells.
OF_TEXTS = ("log", "nccl-log", "network-listing")
# Sections that only a benchmark gives.
OF_BENCHES = ("allreduce", "reached")


@functools.cache
def kind(name: str) -> type:
    """The dataclass of a section. Raises KeyError for a name that is no section."""
    module, _, class_name = KINDS[name].partition(":")
    found = getattr(importlib.import_module(f"envdoctor.facts.{module}"), class_name)
    assert isinstance(found, type)
    return found
