"""How agents that one doctor starts on several hosts meet: who has answered, where rank 0 is, when to give up.

A state machine over what is heard, without threads and without a clock of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Record = Mapping[str, Any]

# Once rank 0's node is gone, the others have heard of it or never will.
LAST_WORDS_S = 2.0
BEFORE = ("resolve", "route", "connect", "join")  # the rungs on which rank 0 waits for the others


@dataclass
class Meeting:
    """What the agents of a run are told before they climb.

    Attributes:
        members: how many there are. port: for rank 0, 0 where it may choose one. given: what the user calls its host.
        heard: index -> its hello. gone: those that ended. invited: whether all know where rank 0 is.
        master_addr: as the first agent says it.
    """

    members: int
    port: int
    given: str
    heard: dict[int, Record] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    invited: bool = False
    master_addr: str = ""

    def take(self, record: Record) -> list[Record]:
        """What is to be said to all after this record; each word names the one that it is for."""
        index = record.get("node")
        if not isinstance(index, int):
            return []
        if isinstance(hello := record.get("hello"), dict) and index not in self.heard:
            self.heard[index] = hello
            if len(self.heard) == self.members and not self.gone:
                return [self._invitation_of_the_first()]
        elif record.get("failed") in BEFORE and index != 0 and self.invited:
            return [{"absent": index, "to": 0}]  # what keeps it may keep it from telling rank 0 as well
        elif isinstance(address := record.get("meeting"), str):
            self.master_addr = address
        elif record.get("end") == "bind" and index == 0 and not self.invited:
            self.invited = True
            values = record.get("values")
            port = values.get("port") if isinstance(values, dict) else None
            meet = {"master_addr": self.master_addr, "master_port": port}
            return [{"meet": meet, "to": other} for other in range(1, self.members)]
        return []

    def _invitation_of_the_first(self) -> Record:
        towards = [str(self.heard[index].get("login") or "") for index in sorted(self.heard) if index]
        usable = [address for address in towards if address and not address.startswith("127.") and address != "::1"]
        return {"meet": {"towards": usable, "master_port": self.port, "given": self.given}, "to": 0}

    def over(self, index: int) -> None:
        """An agent has ended."""
        self.gone.add(index)

    def left_s(self) -> float | None:
        """For how many seconds the others are still listened to, None for as long as they like."""
        if not self.gone:
            return None
        if not self.invited:
            # Nobody climbs without it. Who has not answered yet may still say what keeps it.
            answered = self.gone | set(self.heard)
            return 0.0 if len(answered) == self.members else None
        return LAST_WORDS_S if 0 in self.gone else None
