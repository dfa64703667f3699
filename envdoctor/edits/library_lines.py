"""Folders taken out of the user's own lines that put them on LD_LIBRARY_PATH."""

from __future__ import annotations

import re

from envdoctor.edits import shell_block


def _spelled(folder: str, home: str) -> bytes:
    """A folder in all the ways that people write it, as a pattern."""
    forms = [re.escape(folder)]
    if folder.startswith(home + "/"):
        below = re.escape(folder[len(home) :])
        forms += [rf"\$HOME{below}", rf"\$\{{HOME\}}{below}", f"~{below}"]
    return f"(?:{'|'.join(forms)})".encode("utf-8", "surrogateescape")


def without_folder(content: bytes, number: int, folder: str, home: str) -> bytes:
    """The file with a folder taken out of one line, or with that line turned into a comment if nothing else is in it.

    Args:
        number: of the line, from 0.
    """
    lines = content.split(b"\n")
    if not 0 <= number < len(lines) or b"LD_LIBRARY_PATH" not in lines[number]:
        return content
    line, form = lines[number], _spelled(folder.rstrip("/"), home.rstrip("/"))
    alone = shell_block.adds_to("LD_LIBRARY_PATH", re.compile(form))
    only = re.compile(rb"(?:export[ \t]+)?LD_LIBRARY_PATH=[\"']?%b/?[\"']?[ \t]*(?:#.*)?" % form)
    bare = line.rstrip(b"\r").strip()
    if alone.fullmatch(bare) or only.fullmatch(bare):
        lines[number] = b": # taken out by envdoctor: " + line
        return b"\n".join(lines)
    # A colon left at either end would stand for the working directory.
    changed = re.sub(rb":%b/?(?=[\"'\s;]|$)" % form, b"", line)
    changed = re.sub(rb"(?<=[=:\"'\s])%b/?:" % form, b"", changed)
    # fish lists folders with blanks between them.
    lines[number] = re.sub(rb"(?<=\s)%b/?(?=\s)[ \t]+" % form, b"", changed) if changed == line else changed
    return b"\n".join(lines)
