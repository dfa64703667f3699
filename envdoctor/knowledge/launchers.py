"""The variables by which launchers and training platforms tell a program its place in a job: launchers.toml."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from envdoctor import knowledge

ROLES = (
    "rank",
    "world_size",
    "local_rank",
    "local_world_size",
    "node_rank",
    "nodes",
    "master_addr",
    "master_port",
    "hosts",
    "own_host",
)


@dataclass(frozen=True)
class Launcher:
    """One launcher. Each role holds the variables that may tell it, in the order in which they count.

    Attributes:
        per: "process": the variables describe one rank; "node": one program per node, which starts the ranks;
            "job": the allocation.
        any, all, unless: which variables show the launcher; `NAME*` is a prefix.
        instead_of: launchers that do not apply then, because a variable means something else here.
    """

    name: str
    title: str
    per: str
    any: tuple[str, ...]
    all: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    instead_of: tuple[str, ...] = ()
    rank: tuple[str, ...] = ()
    world_size: tuple[str, ...] = ()
    local_rank: tuple[str, ...] = ()
    local_world_size: tuple[str, ...] = ()
    node_rank: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    master_addr: tuple[str, ...] = ()
    master_port: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    own_host: tuple[str, ...] = ()
    source: str = ""

    def shows_in(self, variables: Mapping[str, str]) -> bool:
        """Whether these variables show that the launcher started the program."""
        return (
            any(_is_set(name, variables) for name in self.any)
            and all(_is_set(name, variables) for name in self.all)
            and not any(_is_set(name, variables) for name in self.unless)
        )


def _is_set(name: str, variables: Mapping[str, str]) -> bool:
    if name.endswith("*"):
        return any(given.startswith(name[:-1]) for given in variables)
    return bool(variables.get(name))


@functools.cache
def names() -> tuple[frozenset[str], tuple[str, ...]]:
    """The variables that tell anything here, and the beginnings of names that do."""
    told = {
        name
        for row in launchers()
        for role in ("any", "all", "unless", *ROLES)
        for name in getattr(row, role)
    }  # fmt: skip
    beginnings = tuple(sorted(name[:-1] for name in told if name.endswith("*")))
    return frozenset(told) | {"SLURM_STEP_ID"}, beginnings


def launchers() -> tuple[Launcher, ...]:
    """All known launchers, the nearest to the process first."""
    return knowledge.rows("launchers", "launcher", Launcher)
