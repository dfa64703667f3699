"""patient/elf.py, loader.py and libraries.py, against libraries made with gcc and against what ld.so itself does."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import decode
from envdoctor.facts.libraries import Libraries
from envdoctor.patient import elf, ld_cache, libraries, loader
from envdoctor.transport.local import Request, examine
from tests import needs
from tests.patient.compiled import shared
from tests.patient.made_wheels import Venv, wheel

# ctypes opens the library as torch does; the process then says where it got each one from.
OPEN = """
import ctypes, json, sys
for path in sys.argv[1:]:
    ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
print(json.dumps(sorted({line.split()[-1] for line in open("/proc/self/maps") if ".so" in line})))
"""


def really_loaded(environ: dict[str, str], *paths: Path) -> set[str]:
    """What ld.so maps."""
    argv = [sys.executable, "-I", "-c", OPEN, *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True, env={"PATH": os.environ["PATH"], **environ})
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def followed(environ: dict[str, str], *paths: Path) -> tuple[set[str], list[str]]:
    """What our rules say: the real paths, and the names that are not found."""
    data = ld_cache.read()
    run = loader.Loader(
        loader.library_path(environ.get("LD_LIBRARY_PATH", ""), os.getcwd()), lambda m: loader.cache(data, m)
    )
    run.program(os.path.realpath(sys.executable), environ.get("LD_PRELOAD", "").split())
    for path in paths:
        run.start(str(path))
    return {os.path.realpath(each.path) for each in run.loaded}, [name for name, _ in run.absent]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two copies of nvJitLink, one beside its wheel's cusparse and one in a module's folder."""
    for folder in ("wheel", "module"):
        shared(tmp_path / folder / "libnvJitLink.so.12", "int jit(void) { return 1; }\n")
    return tmp_path


@pytest.mark.parametrize("search", ["", "module", "nowhere:module", "empty"])
@pytest.mark.parametrize("tags", ["rpath", "runpath", "none"])
@pytest.mark.parametrize("between", ["rpath", "runpath"])
def test_ld_so_agrees(tree: Path, search: str, tags: str, between: str) -> None:
    """libtorch asks for cusparse, which asks for nvJitLink: RPATH is inherited, LD_LIBRARY_PATH beats RUNPATH."""
    (tree / "empty").mkdir()
    origin = "$ORIGIN/../wheel"
    path = {} if tags == "none" else {tags: origin}
    jit = tree / "wheel" / "libnvJitLink.so.12"
    sparse = shared(tree / "wheel" / "libcusparse.so.12", needs_libraries=(jit,), **path)
    torch = shared(tree / "torch" / "libtorch.so", needs_libraries=(sparse,), **{between: origin})
    environ = {"LD_LIBRARY_PATH": ":".join(str(tree / part) for part in search.split(":"))} if search else {}
    foreseen, absent = followed(environ, torch)
    ours = {path for path in foreseen if path.startswith(str(tree))}
    if absent:
        # ld.so refuses as well.
        with pytest.raises(AssertionError, match=r"libnvJitLink\.so\.12: cannot open shared object file"):
            really_loaded(environ, torch)
        assert absent == ["libnvJitLink.so.12"]
    else:
        assert ours == {path for path in really_loaded(environ, torch) if path.startswith(str(tree))}
        assert len(ours) == 3


def test_ld_so_agrees_on_the_real_python_and_its_libraries() -> None:
    really = {path for path in really_loaded({}) if "lib-dynload" not in path and "site-packages" not in path}
    assert {path for path in followed({})[0] if "/python3" not in path} <= really | {os.path.realpath(sys.executable)}


def test_a_preloaded_library_comes_first(tree: Path) -> None:
    jit = tree / "wheel" / "libnvJitLink.so.12"
    torch = shared(tree / "torch" / "libtorch.so", needs_libraries=(jit,), rpath="$ORIGIN/../wheel")
    other = tree / "module" / "libnvJitLink.so.12"
    environ = {"LD_PRELOAD": str(other)}
    assert str(other) in followed(environ, torch)[0] and str(jit) not in followed(environ, torch)[0]
    assert str(other) in really_loaded(environ, torch) and str(jit) not in really_loaded(environ, torch)


def test_a_library_of_another_machine_is_passed_over(tree: Path) -> None:
    jit = tree / "wheel" / "libnvJitLink.so.12"
    torch = shared(tree / "torch" / "libtorch.so", needs_libraries=(jit,), runpath="$ORIGIN/../wheel")
    foreign = bytearray((tree / "module" / "libnvJitLink.so.12").read_bytes())
    foreign[18:20] = (183).to_bytes(2, "little")  # e_machine of aarch64
    (tree / "module" / "libnvJitLink.so.12").write_bytes(bytes(foreign))
    environ = {"LD_LIBRARY_PATH": str(tree / "module")}
    assert str(jit) in followed(environ, torch)[0]
    assert str(jit) in really_loaded(environ, torch)


def test_symbol_versions_needed_and_offered(tmp_path: Path) -> None:
    script = (
        "GLIBCXX_3.4 { global: old; };\nGLIBCXX_3.4.30 { global: new; } GLIBCXX_3.4;\nCXXABI_1.3.13 { global: abi; };\n"
    )
    source = "int old(void) { return 1; } int new(void) { return 2; } int abi(void) { return 3; }\n"
    cpp = shared(tmp_path / "libstdc++.so.6", source, version_script=script)
    asks = "int new(void); int abi(void); int ask(void) { return new() + abi(); }\n"
    user = shared(tmp_path / "_C.so", asks, needs_libraries=(cpp,), runpath="/opt/a:$ORIGIN")
    offered, needed = elf.read(str(cpp)), elf.read(str(user))
    assert offered and needed
    assert {"GLIBCXX_3.4", "GLIBCXX_3.4.30", "CXXABI_1.3.13"} <= set(offered.provides)
    assert set(needed.requires["libstdc++.so.6"]) == {"GLIBCXX_3.4.30", "CXXABI_1.3.13"}
    assert (needed.soname, needed.needed, needed.runpath) == ("_C.so", ["libstdc++.so.6"], ["/opt/a", "$ORIGIN"])
    told = libraries._needs(needed, "x")
    assert (told["glibcxx"], told["cxxabi"], told["glibc"]) == ("3.4.30", "1.3.13", "")


def test_readelf_agrees_on_the_system_libstdcxx() -> None:
    path = loader.cache(ld_cache.read(), 62)["libstdc++.so.6"]
    argv = [needs.program("readelf", "binutils"), "-VW", path]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    found = elf.read(path)
    assert found and all(f"Name: {version}" in told for version in found.provides)
    assert len(found.provides) > 20


def test_ldconfig_agrees_on_its_cache() -> None:
    argv = [needs.program("ldconfig", "libc-bin"), "-p"]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    found = loader.cache(ld_cache.read(), 62)
    assert found
    for name, path in found.items():
        assert f"\t{name} (" in told and f"=> {path}\n" in told


@given(st.binary(max_size=400))
def test_no_file_is_too_odd(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("elf") / "x.so"
    path.write_bytes(b"\x7fELF\x02\x01" + data)
    found = elf.read(str(path))
    assert found is None or found.path == str(path)
    assert isinstance(loader.cache(ld_cache.MARK + data, 62), dict)


@given(st.data())
def test_no_damage_to_a_library_does_harm(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = loader.cache(ld_cache.read(), 62)["libdl.so.2"]
    content = bytearray(Path(path).read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)):
        content[place] = data.draw(st.integers(0, 255))
    broken = tmp_path_factory.mktemp("elf") / "x.so"
    broken.write_bytes(bytes(content))
    found = elf.read(str(broken))
    assert found is None or len(found.needed) < 1000


def test_what_is_no_library_is_none(tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("GROUP ( libc.so.6 )")
    os.mkfifo(tmp_path / "pipe.so")
    assert elf.read(str(tmp_path / "text.so")) is None
    assert elf.read(str(tmp_path / "pipe.so")) is None
    assert elf.read(str(tmp_path)) is None and elf.read("/nowhere") is None


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("libnccl.so.2.27.5", "libnccl"),
        ("libcublasLt.so.12", "libcublasLt"),
        ("libcudnn_ops.so.9", "libcudnn_ops"),
        ("libcudart.so.11.0", "libcudart"),
        ("libcudart_static.a", ""),
        ("libnccl-net.so", "libnccl-net"),
        ("libcurl.so.4", ""),
        ("libcudart-1a2b3c.so.12", ""),
    ],
)
def test_which_libraries_are_looked_at(name: str, family: str) -> None:
    assert libraries.family(name) == family


class Torch:
    """A venv with a torch of the size of a fingernail, linked as the real one is, and NVIDIA's wheels for it."""

    def __init__(self, folder: Path) -> None:
        self.venv = Venv(folder / "env")
        site = self.venv.site
        jit = shared(folder / "b" / "libnvJitLink.so.12", "int jit(void) { return 1; }\n")
        sparse = shared(
            folder / "b" / "libcusparse.so.12", needs_libraries=(jit,), runpath="$ORIGIN/../../nvjitlink/lib"
        )
        self.jit = site / "nvidia/nvjitlink/lib/libnvJitLink.so.12"
        self.venv.install(
            wheel(folder, "nvidia-nvjitlink-cu12", "12.6.85", {"nvidia/nvjitlink/lib/" + jit.name: jit.read_bytes()}),
            wheel(
                folder, "nvidia-cusparse-cu12", "12.5.4.2", {"nvidia/cusparse/lib/" + sparse.name: sparse.read_bytes()}
            ),
        )
        lib = site / "torch" / "lib"
        shared(lib / "libtorch_global_deps.so", needs_libraries=(sparse,), rpath="$ORIGIN/../../nvidia/cusparse/lib")
        (site / "torch" / "__init__.py").write_text("")
        (site / "torch" / "version.py").write_text("__version__ = '2.7.1+cu126'\ncuda = '12.6'\n")
        shared(
            site / "torch" / "_C.cpython-311-x86_64-linux-gnu.so",
            needs_libraries=(lib / "libtorch_global_deps.so",),
            rpath="$ORIGIN/lib",
        )

    def seen(self, **environ: str) -> Libraries:
        request = Request(limit_s=20, only=("libraries",), environ={"PATH": "/usr/bin:/bin", **environ})
        found = decode.fact("libraries", examine(self.venv.python, request).values["libraries"])
        assert isinstance(found, Libraries), found
        return found


@pytest.fixture
def torch(tmp_path: Path) -> Torch:
    return Torch(tmp_path)


def test_all_from_the_wheels(torch: Torch) -> None:
    found = torch.seen()
    (jit,) = found.of("libnvJitLink")
    assert (jit.path, jit.version, jit.through) == (str(torch.jit), "12.6.85", "runpath")
    (sparse,) = found.of("libcusparse")
    assert (sparse.version, sparse.through) == ("12.5.4.2", "rpath")
    own = found.copy_in("libnvJitLink.so.12", "wheel")
    assert own and own.real == jit.real and own.place == "wheel"
    assert found.absent == () and found.library_path == () and found.preload == ()


def test_a_module_that_puts_its_toolkit_on_the_path(torch: Torch, tmp_path: Path) -> None:
    module = tmp_path / "cuda-12.1" / "lib64"
    real = shared(module / "libnvJitLink.so.12.1.105", "int jit(void) { return 1; }\n", soname="libnvJitLink.so.12")
    (module / "libnvJitLink.so.12").symlink_to(real.name)
    (module / "libnvJitLink.so").symlink_to("libnvJitLink.so.12")
    shared(module / "libcusparse.so.12", "int other(void) { return 1; }\n")
    (tmp_path / ".bashrc").write_text(
        f"# export LD_LIBRARY_PATH={module}\nexport LD_LIBRARY_PATH=$HOME/cuda-12.1/lib64:$LD_LIBRARY_PATH\n"
    )
    found = torch.seen(LD_LIBRARY_PATH=f"/opt/openmpi/lib:{module}", HOME=str(tmp_path))
    (jit,) = found.of("libnvJitLink")
    assert (jit.path, jit.version, jit.through) == (str(module / "libnvJitLink.so.12"), "12.1.105", "LD_LIBRARY_PATH")
    # torch's own RPATH comes before LD_LIBRARY_PATH: cusparse stays the wheel's.
    assert found.of("libcusparse")[0].through == "rpath"
    mpi, folder = found.library_path
    assert not mpi.exists and mpi.holds == ()
    assert folder.holds == ("libcusparse.so.12", "libnvJitLink.so.12") and folder.set_in == "~/.bashrc:2"


def test_preload(torch: Torch, tmp_path: Path) -> None:
    other = shared(tmp_path / "o" / "libnvJitLink.so.12")
    found = torch.seen(LD_PRELOAD=f"{other} libgone.so")
    assert found.of("libnvJitLink")[0].through == "preload"
    assert [(entry.name, entry.path) for entry in found.preload] == [(str(other), str(other)), ("libgone.so", "")]


def test_a_wheel_that_is_not_there(torch: Torch) -> None:
    torch.jit.unlink()
    found = torch.seen()
    assert [absent.soname for absent in found.absent] == ["libnvJitLink.so.12"]
    assert found.absent[0].wanted_by.endswith("libcusparse.so.12")


def test_a_stub_where_the_driver_should_be(torch: Torch, tmp_path: Path) -> None:
    stubs = tmp_path / "cuda" / "lib64" / "stubs"
    stub = shared(stubs / "libcuda.so", "int cuInit(void) { return 34; }\n", soname="libcuda.so.1")
    (stubs / "libcuda.so.1").symlink_to(stub.name)
    cudart = shared(torch.venv.site / "nvidia/cuda_runtime/lib/libcudart.so.12")
    shared(torch.venv.site / "torch/lib/libtorch_global_deps.so", needs_libraries=(cudart,), rpath=str(cudart.parent))
    (cuda,) = torch.seen(LD_LIBRARY_PATH=str(stubs)).of("libcuda")
    assert cuda.stub and cuda.through == "LD_LIBRARY_PATH"


def test_the_parts_of_cudnn_are_followed(torch: Torch, tmp_path: Path) -> None:
    place = torch.venv.site / "nvidia/cudnn/lib"
    cudnn = shared(place / "libcudnn.so.9", runpath="$ORIGIN")
    shared(place / "libcudnn_ops.so.9", runpath="$ORIGIN")
    other = shared(tmp_path / "old" / "libcudnn_ops.so.9")
    shared(torch.venv.site / "torch/lib/libtorch_global_deps.so", needs_libraries=(cudnn,), rpath=str(place))
    assert torch.seen().of("libcudnn_ops")[0].path == str(place / "libcudnn_ops.so.9")
    (part,) = torch.seen(LD_LIBRARY_PATH=str(other.parent)).of("libcudnn_ops")
    assert part.path == str(other)


def test_a_conda_environment_is_known_by_its_records(torch: Torch) -> None:
    prefix = Path(torch.venv.python).parent.parent
    (prefix / "conda-meta").mkdir()
    shared(prefix / "lib" / "libcudart.so.12.4.127", soname="libcudart.so.12")
    (prefix / "lib" / "libcudart.so.12").symlink_to("libcudart.so.12.4.127")
    own = torch.seen().copy_in("libcudart.so.12", "conda")
    assert own and (own.place, own.version) == ("conda", "12.4.127")


def test_where_another_python_stands_in_nothing_is_followed(torch: Torch) -> None:
    answer = examine(sys.executable, Request(limit_s=20, only=("libraries",)), stands_for=torch.venv.python)
    found = decode.fact("libraries", answer.values["libraries"])
    assert isinstance(found, Libraries)
    assert found.of("libcusparse") == () and found.copy_in("libcusparse.so.12", "wheel")


def test_the_real_torch_needs_what_its_wheel_says() -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("needs torch")
    found = decode.fact("libraries", examine(sys.executable, Request(only=("libraries",))).values["libraries"])
    assert isinstance(found, Libraries)
    newest = max(binary.glibc for binary in found.binaries if binary.owner == "torch")
    assert newest == "2.28"  # its wheel is tagged manylinux_2_28
    assert any(library.place == "loaded" for library in found.standard)
