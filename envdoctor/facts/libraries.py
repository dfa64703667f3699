"""Shared libraries of CUDA, NCCL and C++: where copies lie, which one a run loads, which one it has loaded."""

from __future__ import annotations

from dataclasses import dataclass

from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.versions import numbers


def older(one: str, other: str) -> bool | None:
    """Whether version `one` is before `other`, compared as far as both are given; None where either is unknown.

    Library files carry fewer parts than wheels ("9.10.2" of nvidia-cudnn 9.10.2.21).
    """
    a, b = numbers(one), numbers(other)
    common = min(len(a), len(b))
    return None if common == 0 else a[:common] < b[:common]


def same(one: str, other: str) -> bool | None:
    """Whether the versions agree as far as both are given; None where either is unknown."""
    a, b = numbers(one), numbers(other)
    common = min(len(a), len(b))
    return None if common == 0 else a[:common] == b[:common]


@dataclass(frozen=True)
class LibraryCopy:
    """A copy of a library that training uses.

    Attributes:
        family: "libcudart", "libcudnn", "libnccl" ...: its file name up to ".so".
        soname: what dependants ask for, "libnccl.so.2".
        path: the file or the link to it; real: the file behind all links.
        version: from the name of the real file, or of the wheel it belongs to; empty if unknown.
        place: "wheel", "torch", "conda", "LD_LIBRARY_PATH", "ldconfig" or "toolkit".
        stub: a toolkit's stub, which can be linked and cannot be used.
    """

    family: str = ""
    soname: str = ""
    path: str = ""
    real: str = ""
    version: str = ""
    place: str = ""
    stub: bool = False


@dataclass(frozen=True)
class LoadedLibrary:
    """A library that `import torch` will load, by the rules of ld.so(8).

    Attributes:
        soname: the name it is asked for by.
        path: the file that is found; real: the file behind all links; version: of it, empty if unknown.
        through: what led there: "rpath", "runpath", "LD_LIBRARY_PATH", "ldconfig", "standard folder", "preload".
        wanted_by: path of the library that asks for it first.
        stub: a toolkit's stub.
    """

    soname: str = ""
    path: str = ""
    real: str = ""
    version: str = ""
    through: str = ""
    wanted_by: str = ""
    stub: bool = False

    @property
    def family(self) -> str:
        return self.soname.partition(".so")[0]


@dataclass(frozen=True)
class AbsentLibrary:
    """A library that `import torch` will not find."""

    soname: str = ""
    wanted_by: str = ""


@dataclass(frozen=True)
class Binary:
    """A compiled file of torch or of an extension, with the newest symbol versions it needs.

    Attributes:
        owner: import name, "torch", "flash_attn".
        glibc: "2.28" of GLIBC_2.28; glibcxx: "3.4.29"; cxxabi: "1.3.13"; empty if it needs none.
        lacks: functions of torch's C++ interface that an extension asks for and the installed torch does not define,
            mangled, at most three; importing it fails.
    """

    path: str = ""
    owner: str = ""
    glibc: str = ""
    glibcxx: str = ""
    cxxabi: str = ""
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class StandardLibrary:
    """A libstdc++ and the newest symbol versions it offers. `place` is "loaded", "ldconfig" or "conda"."""

    path: str = ""
    place: str = ""
    glibcxx: str = ""
    cxxabi: str = ""


@dataclass(frozen=True)
class SearchFolder:
    """A folder of LD_LIBRARY_PATH.

    Attributes:
        stub: it holds a toolkit's stubs.
        holds: the libraries in it that training uses, by soname.
        set_in: the "file:line" of a start-up file that puts it there; empty if none is seen to.
    """

    path: str = ""
    exists: bool = True
    stub: bool = False
    holds: tuple[str, ...] = ()
    set_in: str = ""


@dataclass(frozen=True)
class Preloaded:
    """An entry of LD_PRELOAD and the file it stands for, empty where there is none."""

    name: str = ""
    path: str = ""


@dataclass(frozen=True)
class Libraries:
    """Shared libraries as ld.so would find them for a training run started here.

    Attributes:
        library_path: LD_LIBRARY_PATH in order.
        preload: LD_PRELOAD in order.
        copies: all copies of libraries that training uses, a place at a time.
        loads: those that `import torch` will load, as worked out from the files; empty without torch.
        absent: those it needs and will not find.
        binaries: torch's own libraries and compiled extensions.
        standard: the libstdc++ that would be loaded, and others in reach.
    """

    library_path: tuple[SearchFolder, ...] = ()
    preload: tuple[Preloaded, ...] = ()
    copies: tuple[LibraryCopy, ...] = ()
    loads: tuple[LoadedLibrary, ...] = ()
    absent: tuple[AbsentLibrary, ...] = ()
    binaries: tuple[Binary, ...] = ()
    standard: tuple[StandardLibrary, ...] = ()

    def own(self, soname: str, torch: TorchInstall) -> LibraryCopy | None:
        """The copy that belongs to torch: in torch's folder, in a wheel if torch requires wheels, in conda if it is
        conda's. A torch built against the system's libraries (NVIDIA's containers) has none, whatever wheels lie about.
        """
        places = ("wheel", "torch") if torch.pins else ("torch",)
        found = self.copy_in(soname, *places)
        return found or (self.copy_in(soname, "conda") if torch.installer == "conda" else None)

    def copy_in(self, soname: str, *places: str) -> LibraryCopy | None:
        """The first copy of a library in these places."""
        return next((copy for copy in self.copies if copy.soname == soname and copy.place in places), None)

    def of(self, family: str) -> tuple[LoadedLibrary, ...]:
        return tuple(library for library in self.loads if library.family == family)

    def foreign(self, torch: TorchInstall) -> list[tuple[LoadedLibrary, bool | None]]:
        """CUDA libraries that come from elsewhere than torch's own copy; whether they are older, None if not known."""
        found = []
        for library in self.loads:
            own = self.own(library.soname, torch)
            if own is None or library.real == own.real or library.family in ("libcuda", "libnccl", "libstdc++"):
                continue
            if same(library.version, own.version) is not True:
                found.append((library, older(library.version, own.version)))
        return found

    def searches(self, folder: str) -> bool:
        """Whether a folder is on LD_LIBRARY_PATH."""
        return any(each.path.rstrip("/") == folder for each in self.library_path)

    def set_in(self, folder: str) -> str:
        """Where a folder of LD_LIBRARY_PATH is set, "" if that is not known."""
        return next((each.set_in for each in self.library_path if each.path.rstrip("/") == folder and each.set_in), "")


@dataclass(frozen=True)
class MappedLibrary:
    """A library in the memory of a process that has imported torch.

    Attributes:
        version: what the library itself says (ncclGetVersion, cudaRuntimeGetVersion, cudnnGetVersion), else from the
            name of its file, else empty.
        asked: the library said so itself.
    """

    family: str = ""
    path: str = ""
    version: str = ""
    asked: bool = False


@dataclass(frozen=True)
class MappedLibraries:
    """The libraries a process holds after `import torch`, from /proc/self/maps."""

    libraries: tuple[MappedLibrary, ...] = ()

    def of(self, family: str) -> tuple[MappedLibrary, ...]:
        return tuple(library for library in self.libraries if library.family == family)
