"""A Python script's calls, assignments and names, and what its values mean for ranks."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

LOCAL = ("local_rank", "LOCAL_RANK", "localrank")
VARIABLES = {"LOCAL_RANK": "local", "RANK": "global", "WORLD_SIZE": "size"}


class Script:
    """A script's calls, assignments and names, in the order of lines.

    Attributes:
        imported: top-level packages. mentions: every name and short string.
        calls: what is called, as written, and the call. assigned: target, value, line.
        environment_set: variable, value, line of `os.environ[...] = ...`.
        meaning: variable -> "local", "global", "size" or "gpus", where every assignment agrees.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.imported: set[str] = set()
        self.alias: dict[str, str] = {}
        self.calls: list[tuple[str, ast.Call]] = []
        self.assigned: list[tuple[str, ast.expr, int]] = []
        self.mentions: set[str] = set()
        self.environment_set: list[tuple[str, ast.expr, int]] = []
        for node in ast.walk(tree):
            self._take(node)
        self.calls.sort(key=lambda call: (call[1].lineno, call[1].col_offset))
        self.assigned.sort(key=lambda one: one[2])
        self.meaning = self._meanings()

    def _take(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for name in node.names:
                self.imported.add(name.name.partition(".")[0])
                self.alias[name.asname or name.name.partition(".")[0]] = (
                    name.name if name.asname else name.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            self.imported.add(node.module.partition(".")[0])
            for name in node.names:
                self.alias[name.asname or name.name] = f"{node.module}.{name.name}"
        elif isinstance(node, ast.Call):
            self.calls.append((_called(node.func), node))
        elif isinstance(node, ast.Assign):
            self.assigned += [(dotted(target), node.value, node.lineno) for target in node.targets]
            for target in node.targets:
                if isinstance(target, ast.Subscript) and dotted(target.value).endswith("environ"):
                    self.environment_set.append((letters(target.slice), node.value, node.lineno))
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    self.assigned += [
                        (dotted(one), value, node.lineno)
                        for one, value in zip(target.elts, node.value.elts, strict=False)
                    ]
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.assigned.append((dotted(node.target), node.value, node.lineno))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 100:
            self.mentions.add(node.value)
        elif isinstance(node, (ast.Name, ast.Attribute)):
            self.mentions.add(node.id if isinstance(node, ast.Name) else node.attr)

    def name(self, written: str) -> str:
        """The full name behind an alias: dist.barrier -> torch.distributed.barrier."""
        first, dot, rest = written.partition(".")
        return self.alias.get(first, first) + dot + rest

    def called(self, *endings: str) -> Iterator[ast.Call]:
        """Calls whose full name is, or ends in, one of these."""
        for written, call in self.calls:
            full = self.name(written)
            if any(full == ending or full.endswith("." + ending) for ending in endings):
                yield call

    def _meanings(self) -> dict[str, str]:
        """Variable -> "local", "global", "size" or "gpus", where every assignment agrees."""
        told: dict[str, set[str]] = {}
        for target, value, _ in self.assigned:
            if target:
                told.setdefault(target, set()).add(self.means(value, {}))
        return {name: next(iter(kinds)) for name, kinds in told.items() if len(kinds) == 1 and "" not in kinds}

    def means(self, node: ast.expr, known: Mapping[str, str] | None = None) -> str:
        """What a value is: the rank within the node, in the job, the world size or the GPU count; "" if unknown."""
        known = self.meaning if known is None else known
        if isinstance(node, ast.Call):
            full = self.name(dotted(node.func))
            if full.endswith(("distributed.get_rank", "dist.get_rank")):
                return "global"
            if full.endswith(("distributed.get_world_size",)):
                return "size"
            if full.endswith("cuda.device_count"):
                return "gpus"
            if full in ("int", "str") and node.args:
                return self.means(node.args[0], known)
            if full.endswith(("environ.get", "getenv")) and node.args:
                return _variable(node.args[0])
            return ""
        if isinstance(node, ast.Subscript) and self.name(dotted(node.value)).endswith("environ"):
            return _variable(node.slice)
        name = dotted(node)
        if name in known:
            return known[name]
        return "local" if name.rpartition(".")[2] in LOCAL else ""


def _called(node: ast.expr) -> str:
    """What is called: a.b.c, or "().c" where c belongs to something computed, as in Net().cuda()."""
    return dotted(node) or (f"().{node.attr}" if isinstance(node, ast.Attribute) else "")


def dotted(node: ast.AST) -> str:
    """a.b.c of an expression of names and attributes, "" of anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _variable(node: ast.expr) -> str:
    value = node.value if isinstance(node, ast.Constant) else ""
    return VARIABLES.get(value, "") if isinstance(value, str) else ""


def keyword(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """An argument by its name, or by its position where it may be given so."""
    found = next((one.value for one in call.keywords if one.arg == name), None)
    if found is None and position is not None and len(call.args) > position:
        return call.args[position]
    return found


def letters(node: ast.expr | None) -> str:
    """The letters of a string, also of one with holes; "" of anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
    return ""


def spawns(script: Script) -> bool:
    """Whether the script starts its ranks by itself: on one node, the rank is the local one then."""
    return any(True for _ in script.called("multiprocessing.spawn", "mp.spawn", "Process", "start_processes"))
