"""conda: its configuration, its channels, and how it built the torch of the environment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CondaPair:
    """An entry of a map such as custom_channels."""

    name: str = ""
    items: tuple[str, ...] = ()
    line: int = 0


@dataclass(frozen=True)
class CondaSetting:
    """A key of a condarc file: `items` of a list or the one scalar, `pairs` of a map.

    `final` says that it is marked #!final: what stronger files say of the key does not count.
    """

    key: str = ""
    line: int = 0
    items: tuple[str, ...] = ()
    pairs: tuple[CondaPair, ...] = ()
    final: bool = False


@dataclass(frozen=True)
class Condarc:
    """A condarc file that exists. `not_understood` are lines beyond the YAML we read."""

    path: str = ""
    readable: bool = True
    not_understood: tuple[int, ...] = ()
    settings: tuple[CondaSetting, ...] = ()

    def setting(self, key: str) -> CondaSetting | None:
        return next((setting for setting in self.settings if setting.key == key), None)


@dataclass(frozen=True)
class CondaProgram:
    """conda, mamba or micromamba as found on PATH or by CONDA_EXE."""

    name: str = ""
    path: str = ""


@dataclass(frozen=True)
class CondaPackage:
    """A package as conda-meta records it. `build` is such as "cpu_generic_py312_h..." or "py3.12_cuda12.4_0"."""

    name: str = ""
    version: str = ""
    build: str = ""
    channel: str = ""

    @property
    def cpu(self) -> bool | None:
        """Whether this is a CPU build of torch; None where the build string does not tell."""
        build = self.build.lower()
        if "cuda" in build:
            return False
        if self.name in ("cpuonly", "pytorch-cpu") or "cpu" in build:
            return True
        return None


@dataclass(frozen=True)
class CondaConfig:
    """conda on this machine. Missing ("not-here") without a program, an installation, a condarc or an environment.

    Attributes:
        installations: folders in the usual places, whether or not they are on PATH.
        initialised_in: shell start-up files that hold the block of `conda init`.
        root: the base installation, empty if unknown.
        environment: the conda environment the target Python belongs to, empty for none.
        files: condarc files that exist, weakest first.
        channels, channel_alias, default_channels, custom_channels: in effect; empty where nothing is written.
        channel_urls: addresses of the channels in effect as far as they are written; conda's own defaults are not.
        packages: torch and what decides its build, in the environment.
        home: the user's home folder; search: every file conda would read, weakest first.
        variables: CONDA_* that say something about channels, which are stronger than every file.
    """

    programs: tuple[CondaProgram, ...] = ()
    installations: tuple[str, ...] = ()
    initialised_in: tuple[str, ...] = ()
    root: str = ""
    environment: str = ""
    files: tuple[Condarc, ...] = ()
    channels: tuple[str, ...] = ()
    channel_alias: str = ""
    channel_urls: tuple[str, ...] = ()
    packages: tuple[CondaPackage, ...] = ()
    default_channels: tuple[str, ...] = ()
    custom_channels: tuple[CondaPair, ...] = ()
    home: str = ""
    search: tuple[str, ...] = ()
    variables: tuple[CondaPair, ...] = ()
