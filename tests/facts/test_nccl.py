"""envdoctor/facts/nccl.py: which setting wins."""

from __future__ import annotations

import pytest

from envdoctor.facts.environment import Environment
from envdoctor.facts.nccl import ConfFile, NcclSettings, Row, View, effective, lost, nccl_version, view
from envdoctor.facts.torch import Pin, TorchInstall


def file(kind: str, *rows: tuple[str, str]) -> ConfFile:
    return ConfFile(f"/{kind}.conf", kind, rows=tuple(Row(*row, line) for line, row in enumerate(rows, 1)))


DEBUG = "NCCL_DEBUG"
NAMED, HOME, PASSWD = (file(kind, (DEBUG, kind)) for kind in ("NCCL_CONF_FILE", "HOME", "passwd"))
SYSTEM = file("system", (DEBUG, "system"), (DEBUG, "again"), ("NCCL_IB_HCA", "mlx5"))


@pytest.mark.parametrize(
    ("files", "variables", "version", "value", "source"),
    [
        ((SYSTEM,), {}, "", "system", "/system.conf:1"),
        ((SYSTEM,), {DEBUG: "INFO"}, "", "INFO", "environment"),
        ((HOME, PASSWD, SYSTEM), {}, "", "HOME", "/HOME.conf:1"),
        ((HOME, PASSWD, SYSTEM), {}, "2.30.3", "HOME", "/HOME.conf:1"),
        ((HOME, PASSWD, SYSTEM), {}, "2.29.7", "passwd", "/passwd.conf:1"),
        ((NAMED, HOME, PASSWD, SYSTEM), {}, "2.23.4", "NCCL_CONF_FILE", "/NCCL_CONF_FILE.conf:1"),
        ((NAMED, HOME, PASSWD, SYSTEM), {}, "2.21.5", "passwd", "/passwd.conf:1"),
    ],
)
def test_who_wins(
    files: tuple[ConfFile, ...], variables: dict[str, str], version: str, value: str, source: str
) -> None:
    told = effective(NcclSettings(files), Environment(variables), version)
    assert (told[DEBUG].value, told[DEBUG].source) == (value, source)


def test_only_the_names_that_matter_here() -> None:
    variables = {"PATH": "/bin", "NCCL_DEBUG": "INFO", "GLOO_SOCKET_IFNAME": "eth0", "TORCH_NCCL_NAN_CHECK": "1"}
    assert set(effective(None, Environment({**variables, "UCX_TLS": "rc", "TORCH_HOME": "/x"}))) == {
        "NCCL_DEBUG",
        "GLOO_SOCKET_IFNAME",
        "TORCH_NCCL_NAN_CHECK",
        "UCX_TLS",
    }


def test_a_variable_of_torch_in_a_file_comes_too_late() -> None:
    assert effective(NcclSettings((file("system", ("TORCH_NCCL_NAN_CHECK", "1")),)), Environment()) == {}


def test_a_carriage_return_stays_in_old_releases() -> None:
    windows = NcclSettings((file("system", (DEBUG, "INFO\r")),))
    assert effective(windows, Environment(), "2.30.3")[DEBUG].value == "INFO"
    assert effective(windows, Environment(), "2.29.7")[DEBUG].value == "INFO\r"


def test_lost_lines() -> None:
    told = lost(NcclSettings((HOME, SYSTEM)), Environment({"NCCL_IB_HCA": "mlx5"}))
    assert [(line.source, winner.source) for line, winner in told] == [
        ("/system.conf:1", "/HOME.conf:1"),
        ("/system.conf:2", "/HOME.conf:1"),
    ]


def test_the_version_of_nccl() -> None:
    assert nccl_version(None) == ""
    assert (
        nccl_version(TorchInstall(pins=(Pin("nvidia-cudnn-cu12", "9.1"), Pin("nvidia-nccl-cu12", "2.21.5"))))
        == "2.21.5"
    )


def test_a_command_goes_where_the_setting_is() -> None:
    seen = view(NcclSettings((SYSTEM,)), Environment({"NCCL_NET": "Socket"}), None)
    assert seen.mend("NCCL_NET", None) == "unset NCCL_NET"
    assert seen.mend("NCCL_NET", "IB") == "export NCCL_NET='IB'"
    assert seen.mend("NCCL_IB_HCA", None) == "sed -i '3d' /system.conf"
    assert seen.mend("NCCL_IB_HCA", "=mlx5_0") == "sed -i '3s/=.*/==mlx5_0/' /system.conf"
    assert View({}).source("NCCL_NET") == "" and View({}).get("NCCL_NET") is None
