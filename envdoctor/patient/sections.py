"""Which sections there are: what reads each, in whose company, and how long it may take.

Sections of one group share a process and run in order; when one hangs or crashes, the rest of its group go on in a
new process. A section may come after another and see its fact. To add one: write `def name(ask) -> dict` in a module
of this package, list it here, and give it a dataclass in envdoctor/facts.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple


class Ask(object):
    """What the doctor asks for.

    Attributes:
        quick: no network, no import of torch, no pip or conda program.
        offline: no network.
        port: the rendezvous port to look at, 0 for the usual one.
        pynvml: path of NVIDIA's Python binding for NVML, "" if there is none.
        stands_for: the Python meant, where it cannot run and another runs this instead; else "".
        until: time.monotonic() at which everything ends.
        stands_for_failure: what the interpreter meant said when it did not start.
        facts: facts known so far, for sections that come after others.
        missing: facts that could not be had so far: why, and the detail.
        places: {"kind", "url"} of addresses to be asked for their own sake.
    """

    def __init__(self, request: "Dict[str, Any]") -> None:
        self.quick = bool(request.get("quick"))
        self.offline = bool(request.get("offline")) or self.quick
        self.port = int(request.get("port") or 0)
        self.pynvml = str(request.get("pynvml") or "")
        self.stands_for = str(request.get("stands_for") or "")
        self.until = float(request.get("until") or 0.0)
        self.stands_for_failure = str(request.get("stands_for_failure") or "")
        self.places: "List[Dict[str, Any]]" = list(request.get("places") or ())
        self.facts: "Dict[str, Any]" = dict(request.get("given") or {})
        self.missing: "Dict[str, Tuple[str, str]]" = {}


class NotHere(Exception):
    """Raised by a section whose subject does not exist on this machine; its text says what is absent."""


class Denied(Exception):
    """Raised by a section that may not read its subject; its text says what would allow it."""


class Section(object):
    """One section of the answer.

    Attributes:
        name: name of the fact, as in envdoctor.facts.KINDS.
        where: "module:function" within this package.
        group: sections of one group share a process.
        limit_s: seconds it may take.
        network: left out by --offline.
        heavy: left out by --quick.
        fresh: names all sections of a group that runs in a new interpreter of the target, started as the user
            would start a training script; "module" then emits its own records.
        after: name of a section that must have ended first.
        linux: only Linux has it.
        on_demand: left out of an examination that does not name it.
    """

    def __init__(
        self,
        name: str,
        where: str,
        group: str,
        limit_s: float = 5.0,
        network: bool = False,
        heavy: bool = False,
        after: str = "",
        linux: bool = False,
        fresh: bool = False,
        on_demand: bool = False,
    ) -> None:
        self.name = name
        self.where = where
        self.group = group
        self.limit_s = limit_s
        self.network = network
        self.heavy = heavy
        self.after = after
        self.linux = linux
        self.fresh = fresh
        self.on_demand = on_demand


SECTIONS: "Tuple[Section, ...]" = (
    Section("host", "host:host", "here"),
    Section("environment", "environment:environment", "here"),
    Section("clock", "clock:clock", "here"),
    Section("limits", "limits:limits", "here", linux=True),
    Section("python", "python:python", "python"),
    Section("torch-install", "torch_install:torch_install", "python"),
    Section("torch-import", "torch_import", "torch", limit_s=600, heavy=True, fresh=True),
    Section("torch-cuda", "torch_import", "torch", limit_s=600, heavy=True, fresh=True),
    Section("mapped-libraries", "torch_import", "torch", limit_s=600, heavy=True, fresh=True),
    Section("import-autopsy", "autopsy:import_autopsy", "autopsy", limit_s=60, heavy=True, after="torch-import"),
    Section("pci", "pci:pci", "pci", linux=True),
    Section("kernel-log", "kernel_log:kernel_log", "kernel-log", limit_s=12.0, linux=True),
    Section("driver", "driver:driver", "driver", limit_s=25.0, linux=True),
    Section("gpu", "gpu:gpu", "gpu", limit_s=25.0, linux=True),
    Section("pip-config", "pip_config:pip_config", "packages"),
    Section("pip-effective", "pip_effective:pip_effective", "pip", limit_s=10.0, heavy=True, after="pip-config"),
    Section("packages", "packages:packages", "installed"),
    Section("libraries", "libraries:libraries", "installed", linux=True),
    Section("toolkit", "toolkit:toolkit", "installed", limit_s=10.0),
    Section("host-names", "names:host_names", "rendezvous"),
    Section("rendezvous-port", "rendezvous:rendezvous_port", "rendezvous"),
    Section("nics", "nics:nics", "here", linux=True),
    Section("nccl", "nccl:nccl", "nccl", limit_s=8.0, linux=True),
    Section("rdma", "rdma:rdma", "rdma", linux=True),
    Section("peer-paths", "peer_paths:peer_paths", "pci", linux=True),
    Section("name-resolution", "names:name_resolution", "resolver", limit_s=8.0, network=True),
    Section("rendezvous-reach", "rendezvous:rendezvous_reach", "reach", limit_s=16.0, network=True),
    Section("cpu", "cpu:cpu", "here", linux=True),
    Section("disks", "disks:disks", "disks", limit_s=12.0),
    Section("shell-files", "shell_files:shell_files", "home"),
    Section("new-shells", "new_shells:new_shells", "new-shells", limit_s=14.0, on_demand=True),
    Section("network-settings", "network_settings:network_settings", "packages"),
    Section("index-probes", "index_probe:index_probes", "indexes", limit_s=5.0, network=True, after="pip-effective"),
    Section("asked-places", "index_probe:asked_places", "indexes", limit_s=5.0, network=True, after="pip-effective"),
    Section("conda-config", "conda_config:conda_config", "packages"),
    Section("uv-config", "uv_config:uv_config", "packages"),
    Section("uv-effective", "uv_effective:uv_effective", "uv", limit_s=7.0, heavy=True, after="uv-config"),
)
