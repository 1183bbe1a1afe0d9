"""Stopping by a signal or a time limit: the first signal asks for it, a later one exits."""

import math
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

STOPPED = 75  # the exit code of a run that was stopped and saved

_INTERRUPTS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SIGNALS = (*_INTERRUPTS, signal.SIGUSR1)
_ONE = 1.0  # seconds: `timeout` and batch systems send a signal to a process and to its group, which is one request
_COMMANDS = ("reslab", "-m")  # sys.argv[0] of the command, and of `python -m` while packages are imported


class _Request:
    """The first signal, and the exit at one that comes more than a second later."""

    def __init__(self) -> None:
        self.since: float | None = None

    def is_first(self, number: int) -> bool:
        """Whether a signal is the first one. A repeated one within a second is not; a later one exits at once."""
        now = time.monotonic()
        if self.since is None:
            self.since = now
            return True
        if now - self.since > _ONE:
            os._exit(128 + number)
        return False


class Deadline:
    """A moment some seconds after this is made; None is never."""

    def __init__(self, after: float | None = None):
        self._moment = math.inf if after is None else time.monotonic() + after

    @property
    def left(self) -> float | None:
        """Seconds until then, at least a thousandth; None for never."""
        return None if self._moment == math.inf else max(1e-3, self._moment - time.monotonic())

    @property
    def late(self) -> float:
        """Seconds since then, negative before."""
        return time.monotonic() - self._moment

    @property
    def is_over(self) -> bool:
        return self.late >= 0


NEVER = Deadline()


class Stop:
    """Context manager: after SIGTERM, SIGINT, SIGHUP, SIGUSR1 or `after` seconds, `asked` is true.

    A signal that comes twice within a second is one; a second one after that exits at once. Ignored signals stay
    ignored. Python handles signals in the main thread alone; in another thread only the time counts, which starts when
    this is made.
    """

    def __init__(self, after: float | None = None) -> None:
        self._deadline = Deadline(after)
        self._request = _Request()
        self._before: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        return self._request.since is not None or self._deadline.is_over

    def ask(self) -> None:
        """Ask for the stop, as the first signal does."""
        self._request.since = time.monotonic()

    def __enter__(self) -> "Stop":
        self._before = _handle_signals(_SIGNALS, self._handle)
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._request.is_first(number)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _handle_signals(numbers: tuple[signal.Signals, ...], handler: Any) -> dict[int, Any]:
    """Set a handler for signals that are not ignored, in the main thread. Returns the handlers of before."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in handled}


class Interrupts:
    """Raises KeyboardInterrupt at SIGTERM, SIGINT and SIGHUP, once for a signal that comes twice within a second; a
    second one after that exits at once. For commands; a Stop takes its place while it is open.

    `received`: libraries turn the KeyboardInterrupt into other errors, as while they are imported.
    """

    def __init__(self) -> None:
        self._request = _Request()
        _handle_signals(_INTERRUPTS, self._handle)

    @property
    def received(self) -> bool:
        return self._request.since is not None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._request.is_first(number):
            raise KeyboardInterrupt


def _exit_stopped(number: int, frame: FrameType | None) -> None:
    os._exit(STOPPED)


if Path(*sys.argv[:1]).name in _COMMANDS:
    _handle_signals(_INTERRUPTS, _exit_stopped)  # while the command's modules are imported: nothing to save
