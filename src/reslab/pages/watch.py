"""A study's page on this machine's own address, while its runs go on."""

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any

from reslab.pages.study import live_page
from reslab.study.plan import Plan

LOOPBACK = "127.0.0.1"
_PATIENCE = 10  # seconds that a client has to send each piece of its request, and to take the page
_CLIENTS = 8  # connections at a time


def server(plan: Callable[[], Plan], port: int) -> ThreadingHTTPServer:
    """A server of a plan's page, rendered anew for each request, on the loopback address alone; port 0: a free one.

    Other host names are refused, so that no page of another site can read it through a name of its choosing.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _PATIENCE

        def do_GET(self) -> None:
            serving.requested(self.connection)
            host = (self.headers.get("Host") or "").rpartition(":")[0]
            if self.path != "/" or host not in (LOOPBACK, "localhost"):
                self.send_error(404)
                return
            content = live_page(plan()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words: object) -> None:
            """Nothing: requests are not printed."""

    serving = _Server((LOOPBACK, port), Handler)
    return serving


class _Server(ThreadingHTTPServer):
    """A thread for each connection, up to a number of them; a client that leaves, or takes too long, is no error.

    Where all are taken, a new client has the place of the one that has been silent for longest, if there is one, and
    waits for an end of the others. So no number of slow clients keeps a browser from its page.
    """

    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(_CLIENTS)
        self._silent: dict[Any, None] = {}  # connections without a whole request, oldest first
        self._changing = threading.Lock()
        super().__init__(*arguments)

    def process_request(self, request: "socket | tuple[bytes, socket]", client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self._cut_oldest()
            self._free.acquire()
        with self._changing:
            self._silent[request] = None
        super().process_request(request, client_address)

    def process_request_thread(self, request: "socket | tuple[bytes, socket]", client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.requested(request)
            self._free.release()

    def requested(self, connection: Any) -> None:
        """Keep a connection, whose request has come, until its page is sent."""
        with self._changing:
            self._silent.pop(connection, None)

    def _cut_oldest(self) -> None:
        with self._changing:
            oldest = next(iter(self._silent), None)
            if oldest is not None:
                del self._silent[oldest]
                with suppress(OSError):  # it has gone
                    oldest.shutdown(SHUT_RDWR)

    def handle_error(self, request: "socket | tuple[bytes, socket]", client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)
