"""Where the observers foretell what torch does, torch itself is asked."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from envdoctor.facts.environment import Environment
from envdoctor.facts.launch import launches
from envdoctor.facts.names import Resolution, torchrun_recognises
from envdoctor.patient import names
from tests import ROOT

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the real torch is compared with"),
]


def ask_torch(code: str, *arguments: str) -> object:
    """What a piece of code prints as JSON in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout.splitlines()[-1])


def test_the_ports_that_tcpstore_can_bind() -> None:
    code = """
    import contextlib, datetime, json, socket, sys
    import torch.distributed as dist
    from envdoctor.patient.rendezvous import bind

    @contextlib.contextmanager
    def held(address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as one:
            one.bind((address, 0)); one.listen(1)
            yield one.getsockname()[1]

    def left_in_time_wait():
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", 0)); one.listen(1)
            port = one.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)):
                one.accept()[0].close()
        return port

    def both(port, libuv):
        ours = "" in bind(port).values()
        try:
            dist.TCPStore("127.0.0.1", port, None, True, datetime.timedelta(seconds=5), False, use_libuv=libuv)
            return [ours, True]
        except Exception:
            return [ours, False]

    said = {}
    for libuv in (True, False):
        for address in ("0.0.0.0", "127.0.0.1", "::", "::1"):
            with held(address) as port:
                said["%s %s" % (address, libuv)] = both(port, libuv)
        said["time-wait %s" % libuv] = both(left_in_time_wait(), libuv)
    print(json.dumps(said))
    """
    said = ask_torch(code)
    assert isinstance(said, dict)
    assert {about: ours for about, (ours, _) in said.items()} == {about: torch for about, (_, torch) in said.items()}
    assert said["127.0.0.1 True"] == [False, False]
    assert said["time-wait True"] == [True, True]


def test_the_hosts_that_torchrun_takes_for_its_own() -> None:
    own_name = names.own_name()
    outward = names.outward_address()
    hosts = ["localhost", "127.0.0.1", "127.3.2.1", "::1", own_name, "192.0.2.199", "no-such-host.invalid"]
    hosts += [outward] if outward else []
    code = """
    import json, sys
    from torch.distributed.elastic.rendezvous.utils import _matches_machine_hostname as matches
    print(json.dumps({host: matches(host) for host in sys.argv[1:]}))
    """
    said = ask_torch(code, *hosts)

    def resolution(name: str) -> Resolution:
        found = names.look_up(name)
        return Resolution(name, ipv4=tuple(found["ipv4"]), ipv6=tuple(found["ipv6"]), canonical=found["canonical"])

    own = resolution(own_name)
    if not own.addresses:
        pytest.skip("torch itself raises where the machine's own name does not resolve")
    assert said == {host: torchrun_recognises(host, own_name, own, resolution(host)) for host in hosts}
    assert not torchrun_recognises("10.0.0.1", own_name, None, None)


def test_what_torchrun_sets_for_its_workers_is_read_back(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(
        "import json, os\n"
        f"json.dump(dict(os.environ), open({str(tmp_path)!r} + '/environ.' + os.environ['RANK'], 'w'))\n"
    )
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    subprocess.run(command, check=True, capture_output=True, env=environ, timeout=120)
    for rank in range(2):
        (launch,) = launches(Environment(json.loads((tmp_path / f"environ.{rank}").read_text())))
        assert (launch.launcher, launch.rank, launch.world_size) == ("torchrun", rank, 2)
        assert (launch.local_rank, launch.local_world_size, launch.node_rank, launch.nodes) == (rank, 2, 0, 1)
        assert launch.master_addr and launch.master_port and launch.malformed == {}
        assert launch.several_nodes is False
