"""A name in /etc/hosts, given another address."""

from __future__ import annotations

import re

from envdoctor.facts.names import is_loopback

LOCAL = re.compile(rb"localhost|ip6-", re.I)


def leading_to(content: bytes, name: str, address: str) -> tuple[bytes, str]:
    """The file with a name leading to an address and to no loopback, and the script of sed that does the same.

    A line of the name alone, as Debian's 127.0.1.1, gets the address; from a line of localhost the name is taken out.
    A line with the name comes first where none is left, because the first line of a name is what the resolver takes.
    """
    lines = content.split(b"\n")
    own = rb"(?i:(?<=[ \t])%b)(?=[ \t\r#]|$)" % re.escape(name).encode()
    script, there = [], False
    for number, line in enumerate(lines):
        fields = line.partition(b"#")[0].split()
        if len(fields) < 2 or name.lower().encode() not in (field.lower() for field in fields[1:]):
            continue
        if fields[0].decode("ascii", "replace") == address:
            there = True
            continue
        if not is_loopback(fields[0].decode("ascii", "replace")):
            continue  # another of the machine's own networks, perhaps
        if any(LOCAL.match(field) for field in fields[1:]):
            lines[number] = re.sub(rb"[ \t]+" + own.replace(rb"(?<=[ \t])", b""), b"", line, count=1)
            script.append(f"{number + 1}s/[ \\t]\\+{re.escape(name)}\\([ \\t\\r#]\\|$\\)/\\1/")
        elif there:
            lines[number] = b"# " + line
            script.append(f"{number + 1}s/^/# /")
        else:
            lines[number] = line.replace(fields[0], address.encode(), 1)
            old = fields[0].decode("ascii", "replace").replace(".", "\\.")
            script.append(f"{number + 1}s/{old}/{address}/")
            there = True
    if not there:
        lines.insert(0, f"{address} {name}".encode())
        script.append(f"1i {address} {name}")
    return b"\n".join(lines), "; ".join(script)
