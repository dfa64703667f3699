"""Which hosts `--hosts` names: a list, ranges as schedulers write them, or a file of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from envdoctor.errors import UsageError
from envdoctor.facts import hostlist

LARGEST = 4 << 20  # bytes of a file of hosts
LONGEST = 60  # letters of what was asked for, in an error
# What may stand in a host name, an IPv4 address, an alias of ~/.ssh/config; and in a user's name. Nothing that a shell,
# OpenSSH's own % tokens or its options could take for something else.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}")
V6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]{1,15})?")
BRACKETED = re.compile(r"(?:(?P<user>[^@\s,]+)@)?\[(?P<address>[^\]]*:[^\]]*)\](?::(?P<port>[^,\s]*))?")
SLOTS = re.compile(r"slots=(\d{1,4})")


@dataclass(frozen=True)
class Host:
    """A host to log in to.

    Attributes:
        name: as ssh takes it: a name, an alias of ~/.ssh/config, an address. user, port: where the list gives them.
        slots: ranks it is to start; 0 where the list does not say.
    """

    name: str
    user: str = ""
    port: int | None = None
    slots: int = 0


def hosts(spec: str) -> tuple[Host, ...]:
    """The hosts of "a,b,c", "node[01-16]", "user@host:port", "[::1]:22", or of a file "@file" with a host on each line.

    A host that a file names again and again, as $PBS_NODEFILE does, takes part once and starts as many ranks.

    Raises:
        UsageError: the list cannot be read, is empty, names a host twice, or holds what is no host name.
    """
    listed = spec.startswith("@")
    found = tuple(_of_file(spec[1:]) if listed else _of_words(spec, 0, "--hosts"))
    shown = spec if len(spec) <= LONGEST else f"{spec[:LONGEST]}..."
    if not found:
        raise UsageError(
            f"--hosts {shown}: it names no host; write --hosts a,b,c or node[01-16] or @FILE",
            f"--hosts {shown}：没有任何主机；应写作 --hosts a,b,c 或 node[01-16] 或 @FILE",
        )
    times: dict[tuple[str, int | None], list[Host]] = {}
    for host in found:
        # Names of hosts are the same in upper and lower case, to DNS and to OpenSSH.
        times.setdefault((host.name.lower(), host.port), []).append(host)
    again = next((same[1].name for same in times.values() if len(same) > 1), "")
    if again and not listed:
        raise UsageError(
            f"--hosts {shown}: {again} is named twice; each host takes part once",
            f"--hosts {shown}：{again} 出现了两次；每台主机只参加一次",
        )
    return tuple(replace(same[0], slots=_slots(same)) for same in times.values())


def _slots(same: list[Host]) -> int:
    """Ranks of a host, as all lines that name it say."""
    return sum(host.slots or 1 for host in same) if len(same) > 1 else same[0].slots


def _of_file(name: str) -> Iterator[Host]:
    try:
        with Path(name).open("rb") as file:
            text = file.read(LARGEST).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"--hosts @{name}: {error.strerror}; give a file with a host on each line",
            f"--hosts @{name}：{error.strerror}；请给出每行一个主机的文件",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"--hosts @{name}: it is no text; give a file with a host on each line",
            f"--hosts @{name}：不是文本；请给出每行一个主机的文件",
        ) from error
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        counts = [int(told.group(1)) for word in words if (told := SLOTS.fullmatch(word))]
        names = [word for word in words if "=" not in word]
        yield from _of_words(" ".join(names), counts[0] if counts else 0, f"{name}:{number}")


def _of_words(text: str, slots: int, place: str) -> Iterator[Host]:
    try:
        for part in hostlist.parts(text):
            if whole := BRACKETED.fullmatch(part):
                user, address, port = whole["user"] or "", whole["address"], whole["port"]
                if not V6.fullmatch(address):
                    raise UsageError(
                        f"{place}: {part!r} is no host; an IPv6 address is written [::1] or [::1]:22",
                        f"{place}：{part!r} 不是主机；IPv6 地址应写作 [::1] 或 [::1]:22",
                    )
                yield Host(address, _user(user, part, place), _port(port, part, place), slots)
            else:
                for one in hostlist.expand(part):
                    yield _host(one, slots, place)
    except hostlist.NoList as error:
        raise UsageError(
            f"{place}: {error}; write a,b,c or node[01-16]", f"{place}：{error.zh}；应写作 a,b,c 或 node[01-16]"
        ) from error


def _host(text: str, slots: int, place: str) -> Host:
    user, at, rest = text.rpartition("@")
    if V6.fullmatch(rest) and rest.count(":") > 1:
        return Host(rest, _user(user, text, place), None, slots)
    name, colon, port = rest.partition(":")
    if not NAME.fullmatch(name) or (at and not user):
        raise UsageError(
            f"{place}: {text!r} is no host; write name, user@name or user@name:port",
            f"{place}：{text!r} 不是主机；应写作 name、user@name 或 user@name:port",
        )
    return Host(name, _user(user, text, place), _port(port if colon else None, text, place), slots)


def _user(user: str, text: str, place: str) -> str:
    if user and not USER.fullmatch(user):
        raise UsageError(
            f"{place}: {text!r} names no user; write user@name", f"{place}：{text!r} 中的用户名无效；应写作 user@name"
        )
    return user


def _port(port: str | None, text: str, place: str) -> int | None:
    if port is None:
        return None
    if not re.fullmatch(r"\d{1,5}", port) or not 1 <= int(port) <= 65535:
        raise UsageError(
            f"{place}: {text!r}: a port is a whole number from 1 to 65535",
            f"{place}：{text!r}：端口应为 1 到 65535 的整数",
        )
    return int(port)
