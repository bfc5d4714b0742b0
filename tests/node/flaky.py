"""An AWS that throttles, breaks connections and loses answers: a proxy before moto's server."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Fault(Enum):
    """What can happen to a request. The answer to a lost one never comes, though AWS has done what was asked."""

    THROTTLED = "throttled"
    BROKEN = "broken"
    LOST = "lost"


class FlakyAws:
    """`fault` says of each request, by its method, its target (a path, or an action) and its number, what happens."""

    def __init__(self, endpoint: str, fault: Callable[[str, str, int], Fault | None]) -> None:
        counts: dict[tuple[str, str], int] = {}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                target = self.headers.get("X-Amz-Target", "").partition(".")[2] or self.path
                counts[self.command, target] = counts.get((self.command, target), 0) + 1
                fate = fault(self.command, target, counts[self.command, target])
                self.close_connection = fate in {Fault.BROKEN, Fault.LOST}
                if fate == Fault.THROTTLED:
                    is_s3 = "X-Amz-Target" not in self.headers
                    code = "SlowDown" if is_s3 else "ThrottlingException"
                    body = f"<Error><Code>{code}</Code></Error>" if is_s3 else f'{{"__type": "{code}"}}'
                    self._answer(503 if is_s3 else 400, {}, body.encode())
                elif fate != Fault.BROKEN:
                    answer = self._ask(data)
                    if fate != Fault.LOST:
                        self._answer(*answer)

            def _ask(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                request = urllib.request.Request(f"{endpoint}{self.path}", data or None, headers, method=self.command)
                try:
                    with urllib.request.urlopen(request) as response:
                        return response.status, dict(response.headers), response.read()
                except urllib.error.HTTPError as error:
                    with error:
                        return error.code, dict(error.headers), error.read()

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in {"content-length", "connection", "transfer-encoding"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
