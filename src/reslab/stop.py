"""Stopping by a signal: the first one asks for it, the second one exits."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

STOPPED = 75  # the exit code of a run that was stopped and saved

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Stop:
    """Context manager: SIGTERM, SIGINT and SIGUSR1 set `asked`; a second one exits at once.

    Ignored signals stay ignored. Python handles signals in the main thread alone; in another thread this does nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            handled = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._handle) for number in handled}
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            os._exit(128 + number)
        self.asked = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
