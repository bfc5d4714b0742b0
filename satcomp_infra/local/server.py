"""The local cloud's HTTP server: looks at each request, and has moto answer those that are AWS's."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import ThreadedWSGIServer

from ..errors import SatcompError
from . import control, imds
from .calls import Call, broken, failed, identify
from .faults import Failure
from .steps import StartResponse, caller, hang_up, send

if TYPE_CHECKING:
    from .control import Control
    from .gaps_sqs import Queues
    from .imds import MetadataService
    from .steps import Steps
    from .world import World

ADDRESS = "127.0.0.1"


class Gateway:
    """The WSGI application in front of moto's."""

    def __init__(self, world: World, own: Control, metadata: MetadataService, queues: Queues, steps: Steps) -> None:
        self._world = world
        self._control = own
        self._metadata = metadata
        self._queues = queues
        self._steps = steps
        self._moto = DomainDispatcherApplication(create_backend_app)
        # It would list its directory and try two hundred patterns for each request, which is a sixth of its time.
        self._moto.get_backend_for_host = cache(self._moto.get_backend_for_host)  # type: ignore[method-assign]

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        method, path, body = environ["REQUEST_METHOD"], environ["PATH_INFO"], _take_body(environ)
        if path.startswith(imds.PATH):
            return send(self._metadata.answer(method, path, environ), start_response)
        if path.startswith(control.PATH):
            return send(self._control.answer(method, path, body), start_response)
        call = identify(environ, body)
        self._control.counted[call.name] += 1
        fault = self._world.call_faults.of(call.name, self._world.faults.calls)
        if fault and fault.failure is Failure.DISCONNECTED:
            return hang_up(environ, start_response)
        if fault:
            return send(failed(call, fault), start_response)
        try:
            return self._steps.answer(call, environ, body, partial(self._ask, call, environ), start_response)
        except Exception as error:  # moto answers what it knows to be wrong itself; this is a mistake or a gap
            logging.getLogger(__name__).exception("%s", call.name)
            return send(broken(call, error), start_response)

    def _ask(self, call: Call, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Have moto answer."""
        try:
            with self._lock(call.service, call.action), ExitStack() as asking:
                if call.service == "sqs":
                    connection = environ.get("werkzeug.socket")
                    asking.enter_context(self._queues.asked_by(caller(environ), connection))
                answer: Iterable[bytes] = self._moto(environ, start_response)
                return answer
        finally:
            if not call.only_looks and call.service not in self._world.own_locks:
                self._world.scheduler.wake()

    def _lock(self, service: str, action: str) -> AbstractContextManager[Any]:
        """What to hold during a call; a call that waits for messages takes its lock itself, again and again."""
        if (service, action) == ("sqs", "ReceiveMessage"):
            return nullcontext()
        return self._world.own_locks.get(service, self._world.lock)


class Server:
    """Serves on a port of this machine's loopback address, each connection in a thread of its own.

    Raises SatcompError where the port is taken.
    """

    def __init__(self, port: int) -> None:
        try:
            self._listening = socket.create_server((ADDRESS, port), backlog=512)
        except OSError as error:
            raise SatcompError(f"The local cloud can't listen on port {port}: {error.strerror}.") from error
        self.port: int = self._listening.getsockname()[1]
        self._server: ThreadedWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """The address to give to clients."""
        return f"http://{ADDRESS}:{self.port}"

    def start(self, gateway: Gateway) -> None:
        """Answer requests, in the background."""
        self._server = ThreadedWSGIServer(ADDRESS, self.port, gateway, _Handler, fd=self._listening.fileno())
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.05,), name="server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Accept no further request."""
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
        self._listening.close()


class _Handler(MotoRequestHandler):
    """Keeps connections open, which saves clients the setting up of a new one for each call, and says nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are written apart: the second would wait for an acknowledgement

    def handle_expect_100(self) -> bool:
        """Werkzeug says «100 Continue» itself, and once is enough."""
        return True

    def log_request(self, *_: object) -> None:
        """Nothing."""

    def log_error(self, *_: object) -> None:
        """Nothing: clients may hang up whenever they like."""


def _take_body(environ: dict[str, Any]) -> bytes:
    """The request's body, which moto can read once more. Read to its end: another request may follow it."""
    if environ.get("wsgi.input_terminated"):  # in chunks of unknown length
        body = environ["wsgi.input"].read()
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = str(len(body))
    else:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return bytes(body)
