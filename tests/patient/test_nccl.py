"""envdoctor/patient/nccl.py: configuration files as NCCL cuts them, and plugin libraries that are really loaded."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from envdoctor import decode
from envdoctor.facts.nccl import NcclSettings
from envdoctor.patient import children, nccl, reading
from tests import needs


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of its own, whose user's home is the same by $HOME and by the password database."""
    import pwd

    folder = tmp_path / "root"
    folder.mkdir()
    (tmp_path / "etc").mkdir()
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    monkeypatch.setenv("HOME", "/root")
    for name in ("NCCL_CONF_FILE", "NCCL_NET_PLUGIN", "LD_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)
    entry = pwd.struct_passwd(("me", "x", 0, 0, "", "/root", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda number: entry)
    return folder


def observe() -> NcclSettings:
    told = decode.fact("nccl", nccl.nccl(None))  # type: ignore[arg-type]
    assert isinstance(told, NcclSettings)
    return told


def test_nothing(home: Path) -> None:
    assert observe() == NcclSettings()


def test_lines_are_cut_as_nccl_cuts_them(home: Path) -> None:
    (home / ".nccl.conf").write_bytes(
        b"# NCCL_DEBUG=TRACE\nNCCL_DEBUG=INFO\nNCCL_IB_HCA = mlx5_0\nexport NCCL_NET=IB\r\nPATH=/x\n"
        b"NCCL_SOCKET_IFNAME==eth0\n  # NCCL_P2P_DISABLE=1\nNCCL_ALGO\nNCCL_HOSTID=\xff"
    )
    user, known_as_passwd = observe().files
    assert (user.kind, known_as_passwd.kind, user.path) == ("HOME", "passwd", "/root/.nccl.conf")
    assert [(row.name, row.value, row.line) for row in user.rows] == [
        ("NCCL_DEBUG", "INFO", 2),
        ("NCCL_IB_HCA ", " mlx5_0", 3),
        ("export NCCL_NET", "IB\r", 4),
        ("NCCL_SOCKET_IFNAME", "=eth0", 6),
        ("  # NCCL_P2P_DISABLE", "1", 7),
        ("NCCL_HOSTID", "\udcff", 9),
    ]


def test_the_order_of_the_files(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".nccl.conf").write_text("NCCL_DEBUG=INFO\n")
    (tmp_path / "etc/nccl.conf").write_text("NCCL_DEBUG=WARN\n")
    (tmp_path / "mine.conf").write_text("NCCL_DEBUG=TRACE\n")
    monkeypatch.setenv("NCCL_CONF_FILE", "/mine.conf")
    assert [file.kind for file in observe().files] == ["NCCL_CONF_FILE", "HOME", "passwd", "system"]


def test_a_named_file_that_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCCL_CONF_FILE", "/nowhere.conf")
    (file,) = observe().files
    assert (file.path, file.found, file.kind) == ("/nowhere.conf", False, "NCCL_CONF_FILE")


def test_a_file_that_cannot_be_read(home: Path, tmp_path: Path) -> None:
    (tmp_path / "etc/nccl.conf").mkdir()
    (file,) = observe().files
    assert (file.found, file.error) == (True, "Is a directory")


def test_a_home_that_does_not_answer(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    os.mkfifo(home / ".nccl.conf")  # opening it waits for a writer that never comes
    real = children.ask
    monkeypatch.setattr(children, "ask", lambda function, limit_s, *arguments: real(function, 0.3, *arguments))
    user = observe().files[0]
    assert user.found and user.error in ("slow", "hung") and not user.rows


def library(folder: Path, name: str, needs_symbol: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "plugin.c"
    source.write_text(
        f"extern int {needs_symbol}(void); int f(void) {{ return {needs_symbol}(); }}\n" if needs_symbol else "int f;"
    )
    made = folder / name
    flags = ["-Wl,-z,now"] if needs_symbol else []
    subprocess.run([needs.program("cc", "gcc"), "-shared", "-fPIC", *flags, "-o", str(made), str(source)], check=True)
    return made


def test_plugins_in_the_order_of_the_loader(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, name in (
        ("opt/a", "libnccl-net.so"),
        ("opt/b", "libnccl-net-ofi.so"),
        ("usr/lib", "libnccl-tuner.so.1"),
    ):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / name).write_text("")
    (tmp_path / "opt/a/libnccl.so.2").write_text("")
    (tmp_path / "etc/ld.so.cache").write_bytes(
        b"glibc-ld.so.cache1.1\0libnccl-net-ofi.so\0/opt/b/libnccl-net-ofi.so\0/gone/libnccl-net.so\0/opt/libnccl.so\0"
    )
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/a:/nowhere")
    assert [(plugin.path, plugin.found_by) for plugin in observe().plugins] == [
        ("/opt/a/libnccl-net.so", "LD_LIBRARY_PATH"),
        ("/opt/b/libnccl-net-ofi.so", "ld.so.cache"),
        ("/usr/lib/libnccl-tuner.so.1", "standard folder"),
    ]


def test_a_plugin_by_path_that_loads(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = library(tmp_path / "opt", "libnccl-net-x.so")
    monkeypatch.setenv("NCCL_NET_PLUGIN", str(made))
    (tried,) = observe().net_plugins
    assert (tried.name, tried.error) == (str(made), "")


def test_a_plugin_that_lacks_a_library(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = library(tmp_path / "opt", "libnccl-net-x.so", "fi_getinfo")
    monkeypatch.setenv("NCCL_NET_PLUGIN", str(made))
    (tried,) = observe().net_plugins
    assert "undefined symbol: fi_getinfo" in tried.error


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("ofi", ["libnccl-net-ofi.so"]),
        ("ofi,libnccl-net-x.so", ["libnccl-net-ofi.so", "libnccl-net-x.so"]),
        ("none", []),
        ("NONE", []),
        ("", []),
    ],
)
def test_what_the_variable_stands_for(
    home: Path, value: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCCL_NET_PLUGIN", value)
    tried = observe().net_plugins
    assert [each.name for each in tried] == names
    assert all("cannot open shared object file" in each.error for each in tried)


def test_a_plugin_named_in_a_file(home: Path) -> None:
    (home / ".nccl.conf").write_text("NCCL_NET_PLUGIN=ofi\r\n")
    assert [each.name for each in observe().net_plugins] == ["libnccl-net-ofi.so"]


def test_a_user_without_an_entry(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert nccl.homes() == [("HOME", "/root")]
    monkeypatch.delenv("HOME")
    assert nccl.homes() == []
