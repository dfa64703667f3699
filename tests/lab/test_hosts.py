"""The lab itself: hosts that are apart, know each other, break and leave nothing behind."""

from __future__ import annotations

import time
from pathlib import Path

from tests.lab.hosts import Lab


def test_hosts_of_their_own() -> None:
    with Lab(2) as lab:
        folder, first = lab.folder, lab[0].pid
        told = lab[0].run("ssh", "node1", "hostname; cat /etc/hosts; echo $HOME; ls /sys/class/net")
        assert told.status == 0, told.err
        assert told.out.split()[0] == "node1" and "10.91.0.1 node0" in told.out
        assert str(lab[1].home) in told.out and "eth0" in told.out
        assert not lab.orphans(0)
        process = lab[1].start("sleep", "1000")
        until = time.monotonic() + 5
        while not any("sleep 1000" in words for words in lab.orphans(0).values()):
            assert time.monotonic() < until
        lab[1].fault("cut")
        assert lab[0].run("ssh", "-o", "ConnectTimeout=1", "node1", "true").status == 255
        lab[1].mend()
        assert lab[0].run("ssh", "node1", "true").status == 0
        lab[1].stop_sshd()
        assert "refused" in lab[0].run("ssh", "node1", "true").err
    assert process.poll() is not None
    assert not folder.exists() and not Path(f"/proc/{first}").exists()
    assert not list(Path("/run/netns").glob(f"{lab.mark}*"))
