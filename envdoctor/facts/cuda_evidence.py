"""All that can tell whether CUDA comes up and why not, drawn from several facts."""

from __future__ import annotations

from dataclasses import dataclass

from envdoctor.facts import gpu_state
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.facts.torch import TorchCuda, TorchInstall
from envdoctor.facts.visible_devices import Selection, select
from envdoctor.model import Missing

# CUDA's number for "no CUDA-capable device is detected" (cuda.h, CUresult).
NO_DEVICE = 100
# What Slurm tells a job of the GPUs it has (srun(1), OUTPUT ENVIRONMENT VARIABLES).
SLURM_IDS = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS")
SLURM_COUNTS = (
    "SLURM_GPUS",
    "SLURM_GPUS_ON_NODE",
    "SLURM_GPUS_PER_NODE",
    "SLURM_GPUS_PER_TASK",
    "SLURM_GPUS_PER_SOCKET",
)


@dataclass(frozen=True)
class Evidence:
    """All that can tell why. Facts that could not be had are empty ones here.

    Attributes:
        hung: names of the facts that hung; unseen: of those that could not be had for another reason than absence.
        works: CUDA finds a GPU, None if nobody tried.
        code: the error number of CUDA, None without one or where none is known.
        call: who returned it.
    """

    driver: Driver
    gpus: Gpus | None
    pci: PciDevices | None
    torch: TorchCuda | None
    install: TorchInstall | None
    environment: Environment
    host: Host
    hung: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def devices(self) -> tuple[PciDevice, ...]:
        return gpu_state.own_devices(self.pci)

    @property
    def answering(self) -> tuple[Gpu, ...]:
        return gpu_state.answering(self.gpus)

    @property
    def loaded(self) -> bool:
        """NVIDIA's kernel module is loaded."""
        driver = self.driver
        return bool(
            driver.kernel_release
            or (driver.release and driver.nvml_error is None)
            or driver.cuda_init == 0
            or self.answering
            or any(device.driver == "nvidia" for device in self.devices)
        )

    @property
    def has_gpu(self) -> bool:
        """There is an NVIDIA GPU in this machine, whether or not this process may use it."""
        return bool(self.devices or self.loaded)

    @property
    def driver_works(self) -> bool | None:
        if self.driver.cuda_init is None:
            return None
        return self.driver.cuda_init == 0 and self.driver.cuda_devices != 0

    @property
    def works(self) -> bool | None:
        if self.driver_works is not None or self.torch is None:
            return self.driver_works
        return self.torch.available

    @property
    def code(self) -> int | None:
        driver, torch = self.driver, self.torch
        if driver.cuda_init:
            return driver.cuda_init
        if driver.cuda_init == 0 and driver.cuda_devices == 0:
            return NO_DEVICE
        if torch is None or torch.available:
            return None
        return NO_DEVICE if torch.code is None and "No CUDA GPUs are available" in torch.error else torch.code

    @property
    def call(self) -> str:
        return "torch.cuda.init()" if self.driver.cuda_init is None or self.driver_works else "cuInit"

    @property
    def error_name(self) -> str:
        name = self.driver.cuda_init_name if self.call == "cuInit" and self.driver.cuda_init else ""
        return name or (self.torch.error[:200] if self.torch and self.call != "cuInit" else "")

    @property
    def cuda_build(self) -> bool:
        """The target's torch is built for CUDA, so that a GPU is wanted."""
        return bool(self.install and self.install.cuda)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Device nodes of GPUs: "nvidia0"."""
        return tuple(name for name in self.driver.device_nodes if name[:6] == "nvidia" and name[6:].isdigit())

    @property
    def mask(self) -> str | None:
        return self.environment.get("CUDA_VISIBLE_DEVICES")

    @property
    def count(self) -> int | None:
        """GPUs that CUDA can count from, None if unknown or if MIG makes the count another one."""
        if self.gpus is None or self.gpus.source == "proc" or any(gpu.mig for gpu in self.gpus.gpus):
            return None
        return self.gpus.count or None

    @property
    def uuids(self) -> tuple[str, ...]:
        gpus = self.gpus.gpus if self.gpus else ()
        return tuple(gpu.uuid for gpu in gpus if gpu.uuid) + tuple(name for gpu in gpus for name in gpu.mig_instances)

    @property
    def selection(self) -> Selection:
        return select(self.mask, self.count, self.uuids)

    @property
    def slurm_gpus(self) -> bool:
        """The batch job's variables tell of GPUs."""
        given = self.environment.get
        return any(given(name) for name in SLURM_IDS) or any(
            given(name) not in (None, "", "0") for name in SLURM_COUNTS
        )

    @property
    def mask_from(self) -> str:
        """Who probably set CUDA_VISIBLE_DEVICES: Slurm writes the same list into several variables."""
        slurm = self.host.scheduler.kind == "slurm"
        same = (self.environment.get(name) for name in ("GPU_DEVICE_ORDINAL", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS"))
        return "Slurm" if slurm and (self.mask == "NoDevFiles" or self.mask in same) else "shell"

    @property
    def fits_fabric(self) -> bool:
        """The GPUs may be joined by NVSwitches: some are on the bus, or no GPU says that it has no fabric."""
        if self.pci and self.pci.nvswitches:
            return True
        return not (self.answering and all(gpu.fabric_state == "not-supported" for gpu in self.answering))


def evidence(*facts: object) -> Evidence:
    """The facts of a node, in any order, missing ones as `Missing` or None."""
    given = {type(fact): fact for fact in facts if fact is not None and not isinstance(fact, Missing)}
    missing = [fact for fact in facts if isinstance(fact, Missing)]
    hung = tuple(fact.fact for fact in missing if fact.reason == "hung")
    unseen = tuple(fact.fact for fact in missing if fact.reason != "not-here")
    driver, environment, host = given.get(Driver), given.get(Environment), given.get(Host)
    gpus, pci, torch, install = (given.get(kind) for kind in (Gpus, PciDevices, TorchCuda, TorchInstall))
    return Evidence(
        driver if isinstance(driver, Driver) else Driver(),
        gpus if isinstance(gpus, Gpus) else None,
        pci if isinstance(pci, PciDevices) else None,
        torch if isinstance(torch, TorchCuda) else None,
        install if isinstance(install, TorchInstall) else None,
        environment if isinstance(environment, Environment) else Environment(),
        host if isinstance(host, Host) else Host(),
        hung,
        unseen,
    )
