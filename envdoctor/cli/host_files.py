"""--good-hosts and --bad-hosts: files that the next program reads, `srun --exclude=./bad` or `--hosts @good`."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envdoctor.cli import options
from envdoctor.errors import UsageError

if TYPE_CHECKING:
    from envdoctor.model import Report

GoodHostsOption = Annotated[
    Path | None,
    typer.Option("--good-hosts", metavar="FILE", help="Write the hosts without a problem at --fail-on, one a line."),
]
BadHostsOption = Annotated[
    Path | None,
    typer.Option("--bad-hosts", metavar="FILE", help="Write the hosts with one, and those that could not be reached."),
]


def refuse(good: Path | None, bad: Path | None) -> None:
    """Refuse, before anything is examined, files that cannot be written in the end.

    Raises:
        UsageError: a folder does not exist, a file is a folder, or both are the same.
    """
    options.refuse(good, "--good-hosts")
    options.refuse(bad, "--bad-hosts")
    if good is not None and bad is not None and os.path.realpath(good) == os.path.realpath(bad):
        raise UsageError(
            f"--good-hosts and --bad-hosts are the same file, {good}; name two",
            f"--good-hosts 与 --bad-hosts 是同一个文件 {good}，请指定两个文件",
        )


def write(report: Report, failing: Collection[str], good: Path | None, bad: Path | None) -> None:
    """Write the lists that were asked for, each whole or not at all.

    Raises:
        EnvdoctorError: a file cannot be written.
    """
    if good is None and bad is None:
        return
    from envdoctor import host_lists
    from envdoctor.render import line

    lists = host_lists.sort(report, failing)
    for file, hosts in ((good, lists.good), (bad, lists.bad)):
        if file is not None:
            options.write("".join(f"{host}\n" for host in hosts), file)
    for name in lists.unnamed:
        print(f"envdoctor: {line(name)!r} is in neither list of hosts: it is no host name", file=sys.stderr)
