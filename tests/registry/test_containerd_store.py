"""What an engine with the containerd image store says (Docker Desktop; Docker Engine from 29 on), by a stand-in for it.

The words are those of daemon/containerd in moby and of core/remotes in containerd. Engine 26 gives no reason for a
refusal; engine 28 does where the registry gives one.
"""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest

from satcomp_infra.aws import Aws
from satcomp_infra.engine import Engine, LayerNews, LocalImage, Pushed
from satcomp_infra.errors import SatcompError
from satcomp_infra.progress import Console
from satcomp_infra.registry import Registry, Token

URI = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/solver_1"
INDEX, MANIFEST = (f"sha256:{letter * 64}" for letter in "ab")
IMAGE = LocalImage("my-solver:leader", INDEX, "linux/amd64", ("/entry",))
BEGINNING: list[Mapping[str, Any]] = [
    {"status": f"The push refers to repository [{URI}]"},
    {"status": "Waiting", "progressDetail": {}, "id": "aaaaaaaaaaaa"},
    {"status": "Pushing", "progressDetail": {"current": 1, "total": 2}, "id": "aaaaaaaaaaaa"},
    {"status": "Pushed", "progressDetail": {}, "id": "aaaaaaaaaaaa"},
]
DONE = [*BEGINNING, {"status": f"leader: digest: {INDEX} size: 855"}]


def fails(message: str) -> list[Mapping[str, Any]]:
    return [BEGINNING[0], {"errorDetail": {"message": message}, "error": message}]


@contextmanager
def saying(monkeypatch: pytest.MonkeyPatch, *pushes: Sequence[Mapping[str, Any]]) -> Iterator[Engine]:
    """An engine that says these lines, for one push after the other."""
    left = list(pushes)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def answer(self, *lines: Mapping[str, Any]) -> None:
            self.send_response_only(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in lines:
                chunk = json.dumps(line).encode() + b"\r\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")

        def do_GET(self) -> None:
            self.answer({"ApiVersion": "1.50", "MinAPIVersion": "1.24"})

        def do_POST(self) -> None:
            self.answer(*(left.pop(0) if self.path.partition("?")[0].endswith("/push") else ()))

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        try:
            with Engine() as engine:
                yield engine
        finally:
            server.shutdown()
            thread.join()
    assert not left


class Asked:
    """What a push came to: what was said, and how many tokens were asked for."""

    def __init__(self, engine: Engine) -> None:
        self.tokens = 0
        self.err = io.StringIO()
        console = Console(io.StringIO(), self.err, sleep=lambda seconds: None)
        aws = SimpleNamespace(ecr=SimpleNamespace(get_authorization_token=self._token))
        self.registry = Registry(cast("Aws", aws), engine, URI, Token("AWS", "expired"), console)

    def _token(self) -> Any:
        self.tokens += 1
        return {"authorizationData": [{"authorizationToken": base64.b64encode(b"AWS:new").decode()}]}

    def push(self, tell: Callable[[LayerNews], None] = lambda news: None) -> str:
        return self.registry.push(IMAGE, "leader", tell)


def test_the_digest_is_that_of_the_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with saying(monkeypatch, DONE) as engine:
        *news, last = engine.push(URI, "leader", {})
    assert last == Pushed(INDEX)
    assert [cast("LayerNews", one).status for one in news] == ["Waiting", "Pushing", "Pushed"]


def test_of_an_index_with_missing_platforms_it_is_that_of_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    instead = {
        "manifestPushedInsteadOfIndex": True,
        "originalIndex": {"digest": INDEX},
        "selectedManifest": {"digest": MANIFEST},
    }
    lines = [*BEGINNING, {"progressDetail": {}, "aux": instead}, {"status": f"leader: digest: {MANIFEST} size: 500"}]
    with saying(monkeypatch, lines) as engine:
        assert Asked(engine).push() == MANIFEST


def test_one_that_names_no_digest_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with saying(monkeypatch, [*BEGINNING, {"status": "digest: none"}]) as engine:
        with pytest.raises(SatcompError, match="without naming the digest"):
            Asked(engine).push()


@pytest.mark.parametrize(
    "words",
    [
        f"unknown: unexpected status from HEAD request to https://{URI}/manifests/leader: 403 Forbidden",
        f"unexpected status from POST request to https://{URI}/blobs/uploads/: 403 Forbidden",
        "error from registry: Your authorization token has expired. Reauthenticate and try again.",
        "push access denied, repository does not exist or may require authorization: authorization failed",
    ],
)
def test_a_login_that_is_refused_is_made_anew(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    with saying(monkeypatch, fails(words), DONE) as engine:
        asked = Asked(engine)
        assert asked.push() == INDEX
    assert asked.tokens == 1
    assert "logging in again" in asked.err.getvalue()


@pytest.mark.parametrize(
    "words",
    [
        f"unknown: unexpected status from PUT request to https://{URI}/blobs/uploads/1: 503 Service Unavailable",
        f"failed commit on ref: unexpected status from PUT request to https://{URI}/blobs/uploads/1: 429 Too Many",
        "error from registry: Rate exceeded",
        f'failed to do request: Put "https://{URI}/blobs/uploads/1?_state=x%3D&digest=sha256%3A1": EOF',
        "failed to copy: io: read/write on closed pipe",
        "failed to do request: context deadline exceeded",
    ],
)
def test_what_passes_is_resumed(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    with saying(monkeypatch, fails(words), DONE) as engine:
        asked = Asked(engine)
        assert asked.push() == INDEX
    assert asked.tokens == 0
    assert "going on in 2 s" in " ".join(asked.err.getvalue().split())
    assert "_state" not in asked.err.getvalue()


def test_a_refusal_without_a_reason_is_a_permission_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = fails(f"unknown: unexpected status from HEAD request to https://{URI}/blobs/x: 403 Forbidden")
    with saying(monkeypatch, refused, refused) as engine:
        asked = Asked(engine)
        with pytest.raises(SatcompError, match="Your AWS user may not push to repository team/solver_1") as error:
            asked.push()
    assert asked.tokens == 1
    assert "docs/permissions.md" in error.value.advice


def test_a_repository_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = fails(f"unexpected status from POST request to https://{URI}/blobs/uploads/: 404 Not Found")
    with saying(monkeypatch, gone) as engine:
        with pytest.raises(SatcompError, match="Repository team/solver_1 isn't there any more"):
            Asked(engine).push()
