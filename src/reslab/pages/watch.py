"""A study's page on this machine's own address, while its runs go on."""

import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any

from reslab.pages.study import live_page
from reslab.study.plan import Plan

LOOPBACK = "127.0.0.1"
_PATIENCE = 10  # seconds that a client has to send its request, and to take each piece of the page
_CLIENTS = 8  # clients that are served at a time; more wait


def server(plan: Callable[[], Plan], port: int) -> ThreadingHTTPServer:
    """A server of a plan's page, rendered anew for each request, on the loopback address alone; port 0: a free one.

    Other host names are refused, so that no page of another site can read it through a name of its choosing.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _PATIENCE

        def do_GET(self) -> None:
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

    return _Server((LOOPBACK, port), Handler)


class _Server(ThreadingHTTPServer):
    """A thread for each client, up to a number of them; a client that leaves, or takes too long, is no error."""

    def __init__(self, *arguments: Any) -> None:
        self.free = threading.BoundedSemaphore(_CLIENTS)
        super().__init__(*arguments)

    def process_request(self, request: "socket | tuple[bytes, socket]", client_address: Any) -> None:
        self.free.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: "socket | tuple[bytes, socket]", client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def handle_error(self, request: "socket | tuple[bytes, socket]", client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)
