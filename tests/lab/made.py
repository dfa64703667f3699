"""What a test makes of the machine it runs on, and takes away again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

M = TypeVar("M", bound="Made")


class Made(ABC):
    """There for as long as the context lasts; nothing of it is left where making it fails half way."""

    @abstractmethod
    def make(self) -> None:
        """Make it."""

    @abstractmethod
    def close(self) -> None:
        """Take away what is there of it."""

    def __enter__(self: M) -> M:
        try:
            self.make()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
