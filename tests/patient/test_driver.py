"""The driver's files, in made-up trees; the driver's calls are held against the lab (tests/lab/test_observers.py)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import decode
from envdoctor.facts.driver import Driver
from envdoctor.patient import driver, driver_calls, driver_libraries, ld_cache, reading
from envdoctor.patient.sections import Ask, NotHere
from tests import needs

MACHINE = ld_cache.MACHINES.get(os.uname().machine, 0)
PROPRIETARY = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n"
    "GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04)\n"
)
OPEN = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U22)  Sun Jul 27\n"
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    for folder in ("proc", "dev", "sys/module"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def put(root: Path, path: str, content: str | bytes = "") -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode()
    file.write_bytes(content)


def seen() -> Driver:
    fact = decode.fact("driver", driver.driver(Ask({})))
    assert isinstance(fact, Driver), fact
    return fact


def test_no_trace(root: Path) -> None:
    with pytest.raises(NotHere):
        driver.driver(Ask({}))


def test_the_proprietary_module(root: Path) -> None:
    put(root, "proc/driver/nvidia/version", PROPRIETARY)
    put(root, "sys/module/nvidia/version", "535.104.05\n")
    fact = seen()
    assert (fact.release, fact.kernel_release, fact.open_kernel_module) == ("535.104.05", "535.104.05", False)
    assert fact.release_source == "/sys/module/nvidia/version"
    assert (fact.libcuda, fact.library_release, fact.libcuda_origin, fact.cuda_init) == ("", "", "", None)


def test_the_open_module_known_from_proc_alone(root: Path) -> None:
    put(root, "proc/driver/nvidia/version", OPEN)
    fact = seen()
    assert (fact.release, fact.open_kernel_module) == ("580.65.06", True)
    assert fact.release_source == "/proc/driver/nvidia/version"


def test_nouveau_and_modules_that_are_not_loaded(root: Path) -> None:
    put(root, "sys/module/nouveau/refcnt", "1\n")
    put(root, "lib/modules/6.8.0-40-generic/modules.dep", "updates/dkms/nvidia.ko.zst:\nkernel/x.ko:\n")
    put(root, "lib/modules/6.8.0-45-generic/modules.dep", "kernel/drivers/net/nvidia-like.ko:\nkernel/x.ko:\n")
    put(root, "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\6\0\0\0\1")
    fact = seen()
    assert fact.nouveau and fact.kernel_release == ""
    assert fact.module_kernels == ("6.8.0-40-generic",) and fact.secure_boot is True


def test_secure_boot_unknown(root: Path) -> None:
    put(root, "sys/module/nouveau/refcnt", "1\n")
    assert seen().secure_boot is None


def test_device_nodes(root: Path) -> None:
    for name in ("nvidia0", "nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1", "null", "dxg"):
        put(root, "dev/" + name)
    assert set(seen().device_nodes) == {"nvidia0", "nvidiactl", "nvidia-uvm", "dxg"}


def test_no_fabric_manager_and_one_that_does_not_run(root: Path) -> None:
    put(root, "sys/module/nvidia/version", "580.65.06\n")
    put(root, "proc/2/comm", "kthreadd\n")
    assert seen().fabric_manager == "absent"
    put(root, "usr/bin/nv-fabricmanager")
    assert seen().fabric_manager == "inactive"
    put(root, "proc/77/comm", "nv-fabricmanage\n")
    assert seen().fabric_manager == "active"


def test_a_container_does_not_see_the_fabric_manager(root: Path) -> None:
    put(root, "sys/module/nvidia/version", "580.65.06\n")
    put(root, "proc/2/comm", "bash\n")
    assert seen().fabric_manager == ""
    put(root, "proc/2/comm", "kthreadd\n")
    put(root, ".dockerenv")
    assert seen().fabric_manager == ""


def test_a_library_the_loader_cannot_open(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of that name lies on LD_LIBRARY_PATH and is none: what the loader says is kept."""
    put(root, "opt/stubs/libcuda.so.1", "no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/stubs")
    fact = seen()
    assert fact.libcuda == "/opt/stubs/libcuda.so.1" and fact.libcuda_origin == "stub"
    assert "libcuda.so.1" in fact.libcuda_error and fact.cuda_init is None


def libraries(root: Path, *paths: str) -> None:
    for path in paths:
        put(root, path)


def test_the_order_of_the_loader(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries(root, "a/libcuda.so.1", "b/libcuda.so.1", "usr/lib64/libcuda.so.1")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere:/b;/a:")
    found = driver_libraries.candidates("libcuda.so.1")["libcuda.so.1"]
    assert found == ["/b/libcuda.so.1", "/a/libcuda.so.1", "/usr/lib64/libcuda.so.1"]


def test_one_file_under_two_names_is_one(root: Path) -> None:
    libraries(root, "usr/lib64/libcuda.so.1")
    (root / "lib64").symlink_to(root / "usr/lib64")
    assert driver_libraries.candidates("libcuda.so.1")["libcuda.so.1"] == ["/lib64/libcuda.so.1"]


@pytest.mark.parametrize(
    ("path", "release", "origin"),
    [
        ("/usr/lib/x86_64-linux-gnu/libcuda.so.580.65.06", "580.65.06", "driver"),
        ("/usr/lib64/libcuda.so.470.256.02", "470.256.02", "driver"),
        ("/usr/lib64/libcuda.so.590.44", "590.44", "driver"),
        ("/usr/local/cuda-12.6/compat/libcuda.so.560.35.05", "560.35.05", "compat"),
        ("/opt/conda/envs/x/cuda-compat/libcuda.so.560.35.05", "560.35.05", "compat"),
        ("/usr/local/cuda/lib64/stubs/libcuda.so", "", "stub"),
        ("/usr/lib/wsl/lib/libcuda.so.1.1", "", "wsl"),
        ("", "", ""),
    ],
)
def test_what_a_path_tells(path: str, release: str, origin: str) -> None:
    assert (driver_libraries.release(path), driver_libraries.origin(path)) == (release, origin)


def test_a_link_into_the_compat_folder_is_compat(root: Path) -> None:
    put(root, "usr/local/cuda-12.6/compat/libcuda.so.560.35.05")
    (root / "usr/lib64").mkdir()
    (root / "usr/lib64/libcuda.so.1").symlink_to(root / "usr/local/cuda-12.6/compat/libcuda.so.560.35.05")
    assert driver_libraries.origin("/usr/lib64/libcuda.so.1") == "compat"
    assert driver_libraries.release("/usr/lib64/libcuda.so.1") == "560.35.05"


def test_a_cache_of_ldconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real ldconfig writes the cache; libraries of the C library are found in it, others are not."""
    ldconfig = needs.program("ldconfig", "libc-bin")
    cache = tmp_path / "cache"
    subprocess.run([ldconfig, "-X", "-C", str(cache)], check=True, capture_output=True)
    monkeypatch.setattr(ld_cache, "PATH", str(cache))
    found = ld_cache.libraries(ld_cache.read(), MACHINE, "libc.so.6", "libcuda.so.99")
    assert found["libcuda.so.99"] == [] and found["libc.so.6"]
    assert all(Path(path).name == "libc.so.6" and Path(path).exists() for path in found["libc.so.6"])


@given(st.binary(max_size=200))
def test_a_damaged_cache(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("cache") / "cache"
    file.write_bytes(ld_cache.MARK + data + b"libcuda.so.1\0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ld_cache, "PATH", str(file))
        assert set(ld_cache.libraries(ld_cache.read(), MACHINE, "libcuda.so.1")) == {"libcuda.so.1"}


def test_a_mapped_library_is_found_by_its_name() -> None:
    assert driver_libraries.mapped("libc.so.6").rpartition("/")[2].startswith("libc.so")
    assert driver_libraries.mapped("libcuda-of-nobody.so.1") == ""


@pytest.mark.parametrize(("number", "words"), [(13000, "13.0"), (12040, "12.4"), (11080, "11.8"), (0, ""), (-1, "")])
def test_levels(number: int, words: str) -> None:
    assert driver_calls.level(number) == words


def test_a_node_without_its_driver_is_not_denied(tmp_path: Path) -> None:
    """/dev/nvidia0 may lie there while no module is loaded: opening it gives ENXIO, or here ENOENT."""
    assert driver_calls.denied_node(str(tmp_path / "nvidia0")) is False
