"""What to install on a machine as its facts tell it: the verdict, the command, and the values that findings show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from envdoctor.facts.training_gpus import TrainingGpus, training_gpus
from envdoctor.knowledge.installing import in_own_environment, install_command
from envdoctor.knowledge.verdict import Machine, Verdict, machine_of, which_torch

if TYPE_CHECKING:
    from envdoctor.facts.driver import Driver
    from envdoctor.facts.environment import Environment
    from envdoctor.facts.gpu import Gpus
    from envdoctor.facts.host import Host
    from envdoctor.facts.packages import Packages
    from envdoctor.facts.python import Python
    from envdoctor.facts.torch import TorchInstall
    from envdoctor.model import Finding, Scalar

COMPANIONS = ("torchvision", "torchaudio")


@dataclass(frozen=True)
class Prescription:
    """Which torch fits, and how it gets there.

    Attributes:
        seen: the GPUs that training sees.
        command: installs the verdict's proposal; None if nothing fits.
        automatic: this user may install into the environment, so `envdoctor fix torch` does it.
    """

    machine: Machine
    verdict: Verdict
    seen: TrainingGpus
    command: str | None
    automatic: bool = False

    def remedy(self, finding: Finding) -> Finding:
        """The finding with `envdoctor fix torch` where that installs the proposal, else with the command to paste."""
        return finding.fixed_by("torch") if self.automatic else finding.mended_by(self.command)

    @property
    def situation(self) -> str | None:
        """For the words of a finding: "nothing-fits", "newest" where the newest torch of all fits, "best" where the
        command installs the newest that fits, else None: there is a newer one, and newer ones that do not fit."""
        if self.verdict.proposal is None:
            return "nothing-fits"
        if not self.verdict.refusals:
            return "newest"
        return "best" if self.verdict.proposal == self.verdict.best else None

    @property
    def values(self) -> dict[str, Scalar]:
        """build: what the command installs; newest: the newest that fits; full: the newest that the driver serves in
        full; why_not: what stands against newer ones, in notation. None where there is none."""
        verdict = self.verdict
        return {
            "build": str(verdict.proposal) if verdict.proposal else None,
            "newest": str(verdict.best) if verdict.best else None,
            "full": str(verdict.full) if verdict.full else None,
            "why_not": verdict.why_not() or None,
        }


def prescribe(
    host: Host | None,
    python: Python | None,
    driver: Driver | None,
    gpus: Gpus | None,
    environment: Environment | None = None,
    torch: TorchInstall | None = None,
    packages: Packages | None = None,
) -> Prescription:
    """The torch for this machine. What is missing is not held against a build."""
    seen = training_gpus(gpus, environment) if gpus else TrainingGpus()
    machine = machine_of(host, python, driver, seen.gpus)
    installed = torch.release if torch else ""
    verdict = which_torch(machine, installed)
    if verdict.proposal is None:
        return Prescription(machine, verdict, seen, None)
    beside = [name for name in COMPANIONS if packages and packages.get(name)]
    command = install_command(
        verdict.proposal,
        python=python.executable if python else "",
        installer=torch.installer if torch else "",
        system=machine.system,
        machine=machine.machine,
        installed=installed,
        nvidia=[pin.name for pin in torch.pins] if torch else [],
        beside=beside,
    )
    if python is not None and python.externally_managed and not (torch and torch.installer == "conda"):
        command = in_own_environment(verdict.proposal, python.executable, machine.system, machine.machine, beside)
    automatic = python is not None and python.writable and not python.externally_managed
    return Prescription(machine, verdict, seen, command, automatic)
