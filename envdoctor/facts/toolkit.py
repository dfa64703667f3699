"""The CUDA toolkit and the compilers that an extension would be built with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class CudaToolkit:
    """A CUDA toolkit with an nvcc.

    Attributes:
        nvcc: path of the compiler, as found; root: the folder it belongs to, behind links and wrapper scripts.
        source: "CUDA_HOME", "CUDA_PATH", "PATH", "/usr/local/cuda", "/usr/local" or "environment".
        version: "12.4", empty if unknown; version_source: "file" or "nvcc --version".
        newest_gcc, newest_clang: newest major versions its own headers accept, None if unknown.
    """

    nvcc: str = ""
    root: str = ""
    source: str = ""
    version: str = ""
    version_source: str = ""
    newest_gcc: int | None = None
    newest_clang: int | None = None

    @property
    def major(self) -> int | None:
        """13 of "13.0"."""
        first = self.version.partition(".")[0]
        return int(first) if first.isdigit() else None


@dataclass(frozen=True)
class Compiler:
    """A host compiler. `kind` is "gcc", "clang" or "" if unknown; `path` is empty where the command is not found."""

    command: str = ""
    path: str = ""
    kind: str = ""
    version: str = ""

    @property
    def major(self) -> int | None:
        """12 of "12.2.0"."""
        first = self.version.partition(".")[0]
        return int(first) if first.isdigit() else None


@dataclass(frozen=True)
class Toolkit:
    """What would compile an extension here.

    Attributes:
        cuda_home: value of CUDA_HOME, else of CUDA_PATH; cuda_home_source: which of them.
        cuda_home_exists: that folder exists.
        toolkits: all that were found, the one torch's build would take first.
        cc, cxx: CC and CXX or what stands for them.
        ninja: path of ninja, empty without it.
        python_headers: Python.h is there; None if not looked for.
    """

    cuda_home: str = ""
    cuda_home_source: str = ""
    cuda_home_exists: bool = False
    toolkits: tuple[CudaToolkit, ...] = ()
    cc: Compiler = field(default_factory=Compiler)
    cxx: Compiler = field(default_factory=Compiler)
    ninja: str = ""
    python_headers: bool | None = None

    @property
    def used(self) -> CudaToolkit | None:
        """The toolkit that torch.utils.cpp_extension takes: of CUDA_HOME if set, else of PATH, else /usr/local/cuda."""
        order = (self.cuda_home_source,) if self.cuda_home else ("PATH", "/usr/local/cuda")
        for source in order:
            for found in self.toolkits:
                if found.source == source:
                    return found
        return None
