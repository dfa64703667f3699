"""Which shared libraries of CUDA, NCCL and C++ lie where, and which of them `import torch` will load."""

import os
import re
import sys

from . import elf, ld_cache, loader, packages, reading, symbols

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .sections import Ask

# What training uses: file name up to ".so" -> NVIDIA's distribution, which names the version of the wheel's copy.
FAMILIES = {
    "libcuda": "",
    "libcudart": "cuda-runtime",
    "libcublas": "cublas",
    "libcublasLt": "cublas",
    "libcufft": "cufft",
    "libcurand": "curand",
    "libcusolver": "cusolver",
    "libcusparse": "cusparse",
    "libcusparseLt": "cusparselt",
    "libnvJitLink": "nvjitlink",
    "libnvrtc": "cuda-nvrtc",
    "libcupti": "cuda-cupti",
    "libnccl": "nccl",
    "libnccl-net": "",
    "libnvshmem_host": "nvshmem",
    "libcufile": "cufile",
    "libnvToolsExt": "nvtx",
    "libstdc++": "",
}
# libcudnn comes in parts (libcudnn_graph, libcudnn_ops ...), all of one version.
NAME = re.compile(
    r"^(lib(?:cuda|cudart|cudnn(?:_\w+)?|cublas(?:Lt)?|cufft|curand|cusolver|cusparse(?:Lt)?|nvJitLink|nvrtc|cupti"
    r"|nccl(?:-net)?|nvshmem_host|cufile|nvToolsExt|stdc\+\+))\.so(?:\.([\d.]+))?$"
)
TORCH_LIBRARIES = ("libc10.so", "libtorch_cpu.so", "libtorch_python.so", "libc10_cuda.so", "libtorch_cuda.so")
# One compiled file of each extension tells what it was built against.
EXTENSIONS = (
    ("torchvision", "torchvision", re.compile(r"^_C.*\.so$")),
    ("torchaudio", "torchaudio/lib", re.compile(r"^(lib)?_?torchaudio.*\.so$")),
    ("flash_attn", "", re.compile(r"^flash_attn_2_cuda.*\.so$")),
    ("xformers", "xformers", re.compile(r"^_C.*\.so$")),
    ("vllm", "vllm", re.compile(r"^_C\..*\.so$")),
    ("apex", "", re.compile(r"^amp_C.*\.so$")),
    ("triton", "triton/_C", re.compile(r"^libtriton.*\.so$")),
    ("mmcv", "mmcv", re.compile(r"^_ext.*\.so$")),
    ("torch_scatter", "torch_scatter", re.compile(r"^_scatter_c.*\.so$")),
)
MOST_FOLDERS = 64
MOST_COPIES = 400


def family(name: str) -> str:
    """ "libnccl" of "libnccl.so.2.27.5"; empty for a library that is not looked at."""
    match = NAME.match(name)
    return match.group(1) if match else ""


def version_of(path: str) -> str:
    """From the name of the real file: "2.27.5" of libnccl.so.2.27.5. Empty where it has no more than the major."""
    match = NAME.match(os.path.basename(reading.link(path)))
    told = match.group(2) if match else None
    return told if told and "." in told else ""


def _is_stub(path: str) -> bool:
    return os.path.basename(os.path.dirname(path)) == "stubs"


class Wheels(object):
    """The versions of NVIDIA's distributions, by which their libraries are known: the files carry none."""

    def __init__(self, folders: "List[str]") -> None:
        self.versions: "Dict[str, List[str]]" = {}
        for folder in folders:
            for entry in reading.names(folder):
                told = packages.METADATA.match(entry) if entry.startswith("nvidia_") else None
                if told is not None:
                    name = re.sub(r"-cu\d+$", "", packages.normal(told.group(1)))[7:]
                    self.versions.setdefault(name, []).append(told.group(2))

    def version(self, kind: str) -> str:
        """Of the library's distribution, empty where there is none or several."""
        of = "cudnn" if kind.startswith("libcudnn") else FAMILIES.get(kind, "")
        told = self.versions.get(of, [])
        return told[0] if len(told) == 1 else ""


def _copies_in(folder: str, place: str, wheels: "Optional[Wheels]") -> "List[Dict[str, Any]]":
    """One entry for each library in a folder, under the name that programs ask for."""
    found = []
    seen = set()
    names = [name for name in reading.names(folder) if family(name) not in ("", "libstdc++")]
    for name in sorted(names, key=len):
        kind = family(name)
        path = os.path.join(folder, name)
        stub = _is_stub(path)
        if name == kind + ".so" and not stub and kind != "libnccl-net":
            continue  # for the linker only; no run asks for it
        real = reading.link(path)
        if real in seen:
            continue
        seen.add(real)
        library = elf.read(path)
        soname = library.soname if library is not None and library.soname in names else name
        version = version_of(path) or (wheels.version(kind) if wheels is not None else "")
        told = {"family": kind, "soname": soname, "path": path, "real": real, "version": version}
        found.append(dict(told, place=place, stub=stub))
    return found


def _newest(versions: "List[str]", prefix: str) -> str:
    numbers = [version[len(prefix) :] for version in versions if re.match(re.escape(prefix) + r"[\d.]+$", version)]
    return max(numbers, key=lambda number: [int(part) for part in number.split(".") if part], default="")


def _needs(library: "elf.Library", owner: str) -> "Dict[str, Any]":
    wanted = [version for versions in library.requires.values() for version in versions]
    return {
        "path": library.path,
        "owner": owner,
        "glibc": _newest(wanted, "GLIBC_"),
        "glibcxx": _newest(wanted, "GLIBCXX_"),
        "cxxabi": _newest(wanted, "CXXABI_"),
    }


def _offers(path: str, place: str) -> "Optional[Dict[str, str]]":
    library = elf.read(path)
    if library is None:
        return None
    return {
        "path": path,
        "place": place,
        "glibcxx": _newest(library.provides, "GLIBCXX_"),
        "cxxabi": _newest(library.provides, "CXXABI_"),
    }


def _preload_names(value: str) -> "List[str]":
    return [part for part in re.split(r"[\s:]+", value) if part]


class _Run(object):
    """What `import torch` would load in a run started here."""

    def __init__(self, torch: str, search: "List[str]") -> None:
        self.data = ld_cache.read()
        self.caches: "Dict[int, Dict[str, str]]" = {}
        self.loader = loader.Loader(search, self.cache)
        self.loader.program(os.path.realpath(sys.executable), _preload_names(os.environ.get("LD_PRELOAD", "")))
        if torch and self.loader.main is not None:
            self._import_torch(torch)

    def cache(self, machine: int) -> "Dict[str, str]":
        if machine not in self.caches:
            self.caches[machine] = loader.cache(self.data, machine)
        return self.caches[machine]

    def system(self) -> "Dict[str, str]":
        """name -> path of what ldconfig knows for this interpreter's machine."""
        return self.cache(self.loader.main.library.machine) if self.loader.main is not None else {}

    def _import_torch(self, torch: str) -> None:
        # torch/__init__.py opens libtorch_global_deps.so by its path, then imports torch._C.
        self.loader.start(os.path.join(torch, "lib", "libtorch_global_deps.so"))
        for name in reading.names(torch):
            if name.startswith("_C.") and name.endswith(".so"):
                self.loader.start(os.path.join(torch, name))
        # What is opened by name once it is needed: the driver by the runtime, the parts of cuDNN by its shim.
        for loaded in list(self.loader.loaded):
            name = os.path.basename(loaded.path)
            if name.startswith("libcudart.so."):
                self.loader.open("libcuda.so.1", loaded)
            elif name.startswith("libcudnn.so."):
                for part in reading.names(os.path.dirname(loaded.path)):
                    if part.startswith("libcudnn_") and part.endswith(loaded.library.soname[8:]):
                        self.loader.open(part, loaded)

    def loads(self, wheels: "Wheels", inside: "List[str]") -> "List[Dict[str, Any]]":
        found = []
        for loaded in self.loader.loaded:
            name = os.path.basename(loaded.path)
            kind = family(name)
            if not kind:
                continue
            path = os.path.normpath(loaded.path)
            of_wheel = any(path.startswith(folder + os.sep) for folder in inside)
            found.append(
                {
                    "soname": loaded.library.soname or name,
                    "path": path,
                    "real": reading.link(loaded.path),
                    "version": version_of(loaded.path) or (wheels.version(kind) if of_wheel else ""),
                    "through": loaded.through,
                    "wanted_by": loaded.by.path if loaded.by is not None else "",
                    "stub": _is_stub(loaded.path),
                }
            )
        return found


# Files that shells and logins read, where recipes put their export lines.
START_UP = (
    "~/.bashrc", "~/.bash_profile", "~/.profile", "~/.bash_login", "~/.zshrc", "~/.zshenv", "~/.zprofile",
    "~/.config/fish/config.fish", "/etc/environment", "/etc/profile", "/etc/bash.bashrc", "/etc/bashrc",
)  # fmt: skip


def set_in(folder: str) -> str:
    """The "file:line" of a start-up file that puts this folder into LD_LIBRARY_PATH, empty where none is seen to."""
    home = os.path.expanduser("~")
    more = ["/etc/profile.d/" + name for name in reading.names("/etc/profile.d") if name.endswith(".sh")]
    for file in list(START_UP) + more:
        path = file.replace("~", home, 1) if file.startswith("~/") else file
        for number, line in enumerate((reading.text(path, 1 << 18) or "").splitlines(), 1):
            if "LD_LIBRARY_PATH" in line and not line.lstrip().startswith("#"):
                spelled = line.replace("${HOME}", home).replace("$HOME", home).replace("~/", home + "/")
                if folder.rstrip("/") in re.split(r"[:;=\s\"']+", spelled.replace("/:", ":")):
                    return "%s:%d" % (file, number)
    return ""


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "."


def libraries(ask: "Ask") -> "Dict[str, Any]":
    folders = packages.folders(ask)
    wheels = Wheels(folders)
    search = loader.library_path(os.environ.get("LD_LIBRARY_PATH", ""), _working_directory())[:MOST_FOLDERS]
    torch = next((f for f in (os.path.join(p, "torch") for p in folders) if os.path.isdir(os.path.join(f, "lib"))), "")
    run = _Run("" if ask.stands_for else torch, search)

    copies = []
    inside = []
    for folder in folders:
        nvidia = os.path.join(folder, "nvidia")
        for name in reading.names(nvidia):
            inside.append(os.path.join(nvidia, name, "lib"))
            copies += _copies_in(inside[-1], "wheel", wheels)
    if torch:
        copies += _copies_in(os.path.join(torch, "lib"), "torch", None)
    told = []
    for folder in dict.fromkeys(search):
        here = _copies_in(folder, "LD_LIBRARY_PATH", None)
        copies += here
        told.append(
            {
                "path": folder,
                "exists": os.path.isdir(folder),
                "stub": os.path.basename(folder) == "stubs",
                "holds": [copy["soname"] for copy in here],
                "set_in": set_in(folder),
            }
        )
    conda = os.path.join(sys.prefix, "lib") if os.path.isdir(os.path.join(sys.prefix, "conda-meta")) else ""
    if conda and conda not in search:
        copies += _copies_in(conda, "conda", None)
    system = run.system()
    for name, path in sorted(system.items()):
        kind = family(name)
        if kind and kind != "libstdc++" and name != kind + ".so":
            told_copy = {"family": kind, "soname": name, "path": path, "real": reading.link(path)}
            copies.append(dict(told_copy, version=version_of(path), place="ldconfig"))
    absent = [{"soname": name, "wanted_by": by.path} for name, by in run.loader.absent]
    return {
        "library_path": told,
        "preload": _preloaded(run),
        "copies": copies[:MOST_COPIES],
        "loads": run.loads(wheels, inside),
        "absent": absent,
        "binaries": _binaries(torch, folders),
        "standard": _standard(run, conda, system),
    }


def _preloaded(run: "_Run") -> "List[Dict[str, str]]":
    found = {loaded.path: loaded for loaded in run.loader.loaded if loaded.through == "preload"}
    told = []
    for name in _preload_names(os.environ.get("LD_PRELOAD", "")):
        path = next((path for path in found if path == name or os.path.basename(path) == name), "")
        told.append({"name": name, "path": path})
    return told


def _binaries(torch: str, folders: "List[str]") -> "List[Dict[str, Any]]":
    found = []
    core = symbols.Torch(os.path.join(torch, "lib")) if torch else None
    for name in TORCH_LIBRARIES:
        library = elf.read(os.path.join(torch, "lib", name)) if torch else None
        if library is not None:
            found.append(_needs(library, "torch"))
    for folder in folders:
        top = None
        for owner, inside, pattern in EXTENSIONS:
            place = os.path.join(folder, inside)
            if inside:
                names = reading.names(place)
            else:
                top = reading.names(folder) if top is None else top
                names = top
            for name in names:
                if pattern.match(name):
                    library = elf.read(os.path.join(place, name))
                    if library is not None:
                        lacks = core.lacks(library.path) if core is not None else []
                        found.append(dict(_needs(library, owner), lacks=lacks))
                    break
    if core is not None:
        core.close()
    return found


def _standard(run: "_Run", conda: str, cached: "Dict[str, str]") -> "List[Dict[str, str]]":
    name = "libstdc++.so.6"
    loaded = run.loader.names.get(name)
    places = [
        (os.path.normpath(loaded.path) if loaded is not None else "", "loaded"),
        (cached.get(name, ""), "ldconfig"),
        (os.path.join(conda, name) if conda else "", "conda"),
    ]
    offers = [_offers(path, place) for path, place in places if path]
    return [offer for offer in offers if offer is not None]
