"""Runs a fix and its undo on a terminal, prints what was on the screen: `unshare -m -n python -m tests.transcript DIR`.

In namespaces of its own: TUNA's name leads to an nginx on this machine, whose certificate a private authority signed.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.bench import mirror_sites

HOST = "pypi.tuna.tsinghua.edu.cn"
OLD = """\
[global]
# the lab's mirror since 2019
index-url = http://mirrors.aliyun.com/pypi/simple/
trusted-host = mirrors.aliyun.com
timeout = 60
"""
LIMIT_S = 60


def on_terminal(command: list[str], environ: dict[str, str], question: str) -> str:
    """What a terminal shows of a command that asks one question, which is answered with y."""
    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", *command], stdin=other, stdout=other, stderr=subprocess.DEVNULL, env=environ
    )
    os.close(other)
    shown, answered, until = b"", False, time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        if select.select([main], [], [], 0.2)[0]:
            try:
                data = os.read(main, 65536)
            except OSError:
                break
            shown += data
        if question.encode() in shown and not answered:
            os.write(main, b"y\n")
            answered = True
    process.wait(LIMIT_S)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r", "")


def main(folder: Path) -> None:
    subprocess.run([mirror_sites.program("ip"), "link", "set", "lo", "up"], check=True)
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {HOST}\n")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)
    openssl = mirror_sites.program("openssl")
    bundle = mirror_sites.authority(openssl, folder)
    keys = mirror_sites.certificate(openssl, folder, names=f"DNS:{HOST}")
    page = mirror_sites.json_page(mirror_sites.OLD, mirror_sites.NEWEST)
    site = mirror_sites.NginxSite(page, tls=keys, port=443)
    home = folder / "home"
    conf = home / ".config" / "pip" / "pip.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(OLD)
    environ = {
        "HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm", "COLUMNS": "100",
        "REQUESTS_CA_BUNDLE": str(bundle), "VIRTUAL_ENV": sys.prefix,
    }  # fmt: skip
    with mirror_sites.nginx(mirror_sites.program("nginx"), folder, [site]):
        print("$ envdoctor fix pip-mirror --tuna")
        print(on_terminal(["envdoctor", "fix", "pip-mirror", "--tuna"], environ, "[y/N]"), end="")
        assert HOST in conf.read_text(), conf.read_text()
        print("$ envdoctor fix --undo")
        print(on_terminal(["envdoctor", "fix", "--undo"], environ, "[y/N]"), end="")
    assert conf.read_text() == OLD, conf.read_text()
    shutil.rmtree(home)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
