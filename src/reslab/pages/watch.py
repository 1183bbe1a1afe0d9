"""A study's page on this machine's own address, while its runs go on."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from reslab.pages.study import page
from reslab.study.plan import Plan

LOOPBACK = "127.0.0.1"


def server(plan: Callable[[], Plan], port: int) -> ThreadingHTTPServer:
    """A server of a plan's page, rendered anew for each look, on the loopback address alone; port 0 takes a free one.

    Other names than its own are refused, so that no page of another site can read it through a name of its choosing.
    """

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = (self.headers.get("Host") or "").rpartition(":")[0]
            if self.path != "/" or host not in (LOOPBACK, "localhost"):
                self.send_error(404)
                return
            content = page(plan(), watched=True).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words: object) -> None:
            """Nothing: the page tells what there is to tell."""

    return ThreadingHTTPServer((LOOPBACK, port), Page)
