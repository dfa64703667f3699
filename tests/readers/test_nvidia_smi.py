"""What nvidia-smi prints."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.readers.lines import parsed
from envdoctor.readers.nvidia_smi import rows
from tests.readers.texts import codes, read

TABLE = """\
Thu Nov 20 10:11:12 2026
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI {smi}              Driver Version: {driver}      CUDA Version: {cuda}     |
|-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
|   0  NVIDIA A100-SXM4-80GB          On  |   00000000:07:00.0 Off |                    0 |
| N/A   31C    P0             62W /  400W |       4MiB /  81920MiB |      0%      Default |
|                                         |                        |             Disabled |
+-----------------------------------------+------------------------+----------------------+
|   1  NVIDIA A100-SXM4-80GB          On  |   00000000:0F:00.0 Off |                    0 |
| N/A   30C    P0             61W /  400W |       4MiB /  81920MiB |      0%      Default |
+-----------------------------------------+------------------------+----------------------+
| Processes:                                                                              |
|  No running processes found                                                             |
+-----------------------------------------------------------------------------------------+
"""
OLD = """\
| NVIDIA-SMI 390.77                 Driver Version: 390.77                    |
|-------------------------------+----------------------+----------------------+
|   0  Tesla K80           Off  | 00000000:00:04.0 Off |                    0 |
"""
QUERY = """\
Driver Version                            : 535.104.05
CUDA Version                              : 12.2
Attached GPUs                             : 1
GPU 00000000:3B:00.0
    Product Name                          : NVIDIA L40S
"""


def test_the_table() -> None:
    told = read(TABLE.format(smi="550.54.15", driver="550.54.15", cuda="12.4")).sections
    driver, gpus = told["driver"], told["gpu"]
    assert isinstance(driver, Driver) and (driver.release, driver.cuda_level) == ("550.54.15", "12.4")
    assert isinstance(gpus, Gpus) and gpus.count == 2
    assert [(gpu.name, gpu.pci, gpu.compute_capability) for gpu in gpus.gpus] == [
        ("NVIDIA A100-SXM4-80GB", "0000:07:00.0", "8.0"),
        ("NVIDIA A100-SXM4-80GB", "0000:0f:00.0", "8.0"),
    ]
    assert "host" not in told


def test_an_old_table_and_a_query() -> None:
    old, query = read(OLD).sections, read(QUERY).sections
    driver, gpus = old["driver"], old["gpu"]
    assert isinstance(driver, Driver) and (driver.release, driver.cuda_level) == ("390.77", "")
    assert isinstance(gpus, Gpus) and gpus.gpus[0].name == "Tesla K80"
    driver, gpus = query["driver"], query["gpu"]
    assert isinstance(driver, Driver) and (driver.release, driver.cuda_level) == ("535.104.05", "12.2")
    assert isinstance(gpus, Gpus) and gpus.gpus[0].compute_capability == "8.9"


def test_wsl_shows_by_two_numbers() -> None:
    host = read(TABLE.format(smi="525.125.06", driver="536.67", cuda="12.2")).sections["host"]
    assert isinstance(host, Host) and host.wsl == 2


def test_a_table_beside_a_report_is_judged_with_it() -> None:
    report = "PyTorch version: 2.5.1+cu124\nCUDA used to build PyTorch: 12.4\nIs CUDA available: False\nOS: Linux\n"
    table = TABLE.format(smi="470.57.02", driver="470.57.02", cuda="11.4")
    assert next(iter(codes(report + table).items())) == ("driver-too-old", "error")


def test_a_sound_table_alone_draws_nothing() -> None:
    assert codes(TABLE.format(smi="550.54.15", driver="550.54.15", cuda="12.4")) == {}


@given(st.lists(st.sampled_from([*TABLE.splitlines(), *OLD.splitlines(), "| x", "|   7  "]), max_size=20))
def test_any_rows(lines: list[str]) -> None:
    assert len(rows([parsed(line, "f", 1) for line in lines])) <= len(lines)
