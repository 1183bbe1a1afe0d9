"""Stopping by a signal: the first asks for it, the second does it."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

STOPPED = 75  # the exit code of what was stopped and saved

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Stop:
    """While this is entered, SIGTERM, SIGINT and SIGUSR1 set `asked`; a second one exits at once.

    Signals that the process ignores stay ignored. Only the main thread hears signals; in another nothing is changed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._hear) for number in heard}
        return self

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            os._exit(128 + number)
        self.asked = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
