"""envdoctor/patient/limits.py and cpu.py: real limits, a real kill for want of memory, and recorded trees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from envdoctor.patient import cpu, limits, reading
from envdoctor.patient.sections import Ask
from tests import ROOT, needs

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc and /sys")


def under(shell: str) -> dict[str, Any]:
    """What the section says in a process that a shell line has prepared."""
    code = "import json; from envdoctor.patient.limits import limits; print(json.dumps(limits(None)))"
    line = f"{shell}; exec {sys.executable} -c '{code}'"
    done = subprocess.run(["sh", "-ec", line], cwd=ROOT, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_limits_of_the_process() -> None:
    told = under("ulimit -S -n 512; ulimit -l 64")
    assert told["open_files"]["soft"] == 512
    assert told["memlock_bytes"] == {"soft": 65536, "hard": 65536}
    assert told["system_open_files"] > 0 and told["system_open_files_limit"] > 512


@pytest.mark.root
def test_the_capability_to_lock_memory() -> None:
    needs.root()
    needs.program("setpriv", "util-linux")
    assert limits.may_lock_memory()
    code = "from envdoctor.patient import limits; print(limits.may_lock_memory())"
    line = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", sys.executable, "-c", code]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/user.slice/me\n", {"/sys/fs/cgroup/user.slice/me/memory.events": "oom 1\noom_kill 2\n"}, 2),
        ("0::/../../x\n", {"/sys/fs/cgroup/memory.events": "low 0\noom_kill 5\n"}, 5),
        ("4:memory:/job\n", {"/sys/fs/cgroup/memory/job/memory.oom_control": "under_oom 0\noom_kill 1\n"}, 1),
        ("4:memory:/host/path\n", {"/sys/fs/cgroup/memory/memory.oom_control": "oom_kill 3\n"}, 3),
        ("4:memory:/old\n", {"/sys/fs/cgroup/memory/old/memory.oom_control": "under_oom 0\n"}, None),
        ("", {}, None),
        ("nonsense", {"/sys/fs/cgroup/memory.events": "oom_kill many\n"}, None),
    ],
)
def test_kills_are_counted_in_the_own_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cgroup: str, files: dict[str, str], expected: int | None
) -> None:
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    for name, content in {"/proc/self/cgroup": cgroup, **files}.items():
        path = Path(str(tmp_path) + name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    count, source = limits.oom_kills()
    assert count == expected
    assert bool(source) == (expected is not None)


@pytest.mark.root
def test_a_real_kill_is_counted() -> None:
    needs.root()
    parent = Path("/sys/fs/cgroup/memory")
    if not (parent / "memory.limit_in_bytes").exists():
        pytest.skip("needs a memory controller of control groups, version 1, that this user may change")
    group = parent / f"doctor{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(64 << 20))
        code = (
            f"import os,json; open('{group}/cgroup.procs','w').write(str(os.getpid()));\n"
            "child = os.fork()\n"
            "if child == 0: b = b'x' * (512 << 20); os._exit(0)\n"
            "os.waitpid(child, 0)\n"
            "from envdoctor.patient import limits; print(json.dumps(limits.oom_kills()))"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        count, source = json.loads(done.stdout)
        assert count >= 1 and source == f"{group}/memory.oom_control"
    finally:
        group.rmdir()


def test_cpu_settings_of_a_recorded_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    tree = {
        "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "powersave\n",
        "/sys/devices/system/cpu/cpufreq/policy0/scaling_driver": "acpi-cpufreq\n",
        "/sys/devices/system/cpu/cpufreq/policy1/scaling_governor": "performance\n",
        "/sys/devices/system/cpu/cpufreq/boost": "1\n",
        "/sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n",
        "/sys/devices/system/clocksource/clocksource0/available_clocksource": "hpet acpi_pm \n",
        "/sys/devices/system/node/node0/x": "",
        "/sys/devices/system/node/node1/x": "",
        "/sys/devices/system/node/online": "0-1\n",
        "/proc/sys/kernel/numa_balancing": "1\n",
    }
    for name, content in tree.items():
        path = Path(str(tmp_path) + name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert cpu.cpu(Ask({})) == {
        "governors": {"powersave": 1, "performance": 1},
        "frequency_driver": "acpi-cpufreq",
        "clock_source": "hpet",
        "clock_sources": ["hpet", "acpi_pm"],
        "numa_nodes": 2,
        "numa_balancing": 1,
    }


def test_cpu_settings_of_this_machine() -> None:
    told = cpu.cpu(Ask({}))
    assert told["clock_source"] in told["clock_sources"]
