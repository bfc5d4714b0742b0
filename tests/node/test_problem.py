"""Fetching problems: all compressions, and all that can be wrong with a problem."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
import zstandard
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session
from mypy_boto3_s3 import S3Client

from satcomp_infra.jobs import S3Uri
from satcomp_infra.node.decompress import decompressed, split_name
from satcomp_infra.node.failure import JobError
from satcomp_infra.node.problem import PIECE_BYTES, fetch, formula_language, problem_file

from .cloud import BUCKET, SATISFIABLE, Cloud

FORMULA = b"".join(b"%d %d 0\n" % (n, -n * 7919 % 100003) for n in range(1, 60000))
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
COMPRESSED = {suffix: compress(FORMULA) for suffix, compress in COMPRESSIONS.items()}
each_compression = pytest.mark.parametrize("suffix", COMPRESSIONS)


def pieces(data: bytes, size: int = 10_000) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@each_compression
def test_what_was_compressed_comes_out_again(suffix: str) -> None:
    assert b"".join(decompressed(pieces(COMPRESSED[suffix]), suffix, "it")) == FORMULA


@each_compression
def test_several_compressed_parts_in_one_file_are_one_problem(suffix: str) -> None:
    compress = COMPRESSIONS[suffix]
    data = compress(b"p cnf 1 1\n") + compress(b"1 0\n")
    for size in (1, len(data)):
        assert b"".join(decompressed(pieces(data, size), suffix, "it")) == b"p cnf 1 1\n1 0\n"


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_padding_after_the_end_is_nothing(suffix: str) -> None:
    assert b"".join(decompressed(pieces(COMPRESSED[suffix] + bytes(512)), suffix, "it")) == FORMULA


@each_compression
def test_data_that_ends_too_soon_is_an_error(suffix: str) -> None:
    with pytest.raises(JobError, match=r"s3://b/k.*ends too soon"):
        list(decompressed(pieces(COMPRESSED[suffix][:-9]), suffix, "s3://b/k"))


@each_compression
def test_data_that_is_damaged_or_something_else_is_an_error(suffix: str) -> None:
    damaged = bytearray(COMPRESSED[suffix])
    damaged[len(damaged) // 2 : len(damaged) // 2 + 40] = bytes(40)
    for data in (bytes(damaged), b"p cnf 1 1\n1 0\n"):
        with pytest.raises(JobError, match=r"can't be decompressed"):
            list(decompressed(pieces(data), suffix, "it"))


def test_an_empty_file_is_no_compressed_one() -> None:
    with pytest.raises(JobError, match="ends too soon"):
        list(decompressed(iter([]), ".xz", "it"))


@pytest.mark.parametrize(
    ("name", "file", "language"),
    [
        ("a.cnf", "problem.cnf", "DIMACS"),
        ("a.cnf.XZ", "problem.cnf", "DIMACS"),
        ("a.b.smt2.zst", "problem.smt2", "SMTLIB2"),
        ("a.wcnf", "problem.wcnf", ""),
        ("0123456789abcdef", "problem.cnf", "DIMACS"),
        ("v1.25", "problem.cnf", "DIMACS"),
        (".gz", "problem.cnf", "DIMACS"),
    ],
)
def test_the_solvers_file_keeps_the_suffix(name: str, file: str, language: str) -> None:
    problem = S3Uri("bucket", f"some.dir/{name}")
    assert (problem_file(problem), formula_language(problem)) == (file, language)


def test_names_are_split_at_the_compressions_suffix() -> None:
    assert split_name("a.cnf.gz") == ("a.cnf", ".gz")
    assert split_name("a.cnf") == ("a.cnf", "")


def test_a_problem_is_downloaded_and_decompressed(cloud: Cloud, tmp_path: Path) -> None:
    problem = cloud.upload("big one+ä.cnf.xz", COMPRESSED[".xz"])
    path = fetch(cloud.s3, problem, tmp_path, lambda: None)
    assert path == tmp_path / "problem.cnf"
    assert path.read_bytes() == FORMULA


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (S3Uri(BUCKET, "nowhere.cnf"), "does not exist"),
        (
            S3Uri("another-bucket", "nowhere.cnf"),
            "bucket of the problem s3://another-bucket/nowhere.cnf does not exist",
        ),
    ],
)
def test_a_problem_that_is_not_there_is_an_error(cloud: Cloud, tmp_path: Path, problem: S3Uri, reason: str) -> None:
    with pytest.raises(JobError, match=reason):
        fetch(cloud.s3, problem, tmp_path, lambda: None)


def test_a_download_can_be_broken_off(cloud: Cloud, tmp_path: Path) -> None:
    def check() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(cloud.s3, cloud.upload("a.cnf"), tmp_path, check)


class Server:
    """An S3 that answers each request with the next of these answers."""

    def __init__(self, *answers: bytes | Callable[[str], bytes]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[str] = []
        self._thread = threading.Thread(target=self._serve, args=(answers,))
        self._thread.start()
        url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.s3 = cast(
            "S3Client",
            get_session().create_client("s3", endpoint_url=url, config=Config(retries={"total_max_attempts": 1})),
        )

    def _serve(self, answers: tuple[bytes | Callable[[str], bytes], ...]) -> None:
        for answer in answers:
            connection, _ = self._listener.accept()
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                self.requests.append(request.decode())
                connection.sendall(answer if isinstance(answer, bytes) else answer(self.requests[-1]))

    def close(self) -> None:
        self._thread.join(5)
        self._listener.close()
        self.s3.close()


def answer(status: str, body: bytes, length: int | None = None, kind: str = "text/plain") -> bytes:
    head = f'HTTP/1.1 {status}\r\nETag: "v1"\r\nContent-Type: {kind}\r\nConnection: close\r\n'
    return f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


@pytest.fixture
def serve(cloud: Cloud) -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(*answers: bytes) -> Server:
        made.append(Server(*answers))
        return made[-1]

    yield make
    for server in made:
        server.close()


def test_a_connection_that_breaks_is_resumed_where_it_broke(serve: Callable[..., Server], tmp_path: Path) -> None:
    data = COMPRESSED[".gz"]

    def rest(request: str) -> bytes:
        start = re.search(r"range: bytes=([0-9]+)-", request.lower())
        assert start
        assert 'if-match: "v1"' in request.lower()
        return answer("206 Partial Content", data[int(start[1]) :])

    server = serve(answer("200 OK", data[: PIECE_BYTES + 1000], length=len(data)), rest)
    path = fetch(server.s3, S3Uri("team-bucket", "a.cnf.gz"), tmp_path, lambda: None)
    assert path.read_bytes() == FORMULA
    assert len(server.requests) == 2


def test_no_permission_is_an_error_that_says_what_may_be_meant(serve: Callable[..., Server], tmp_path: Path) -> None:
    denied = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    server = serve(answer("403 Forbidden", denied, kind="application/xml"))
    with pytest.raises(JobError, match=r"doesn't let this node read the problem s3://other/a.cnf .*not exist"):
        fetch(server.s3, S3Uri("other", "a.cnf"), tmp_path, lambda: None)


@pytest.mark.parametrize(
    ("status", "code", "for_good"),
    [
        (400, "InvalidBucketName", True),
        (400, "InvalidRequest", True),
        (400, "AuthorizationHeaderMalformed", True),
        (400, "KMS.DisabledException", True),
        (400, "KMS.NotFoundException", True),
        (403, "InvalidObjectState", True),
        (301, "PermanentRedirect", True),
        (400, "KMS.ThrottlingException", False),
        (400, "RequestTimeout", False),
        (400, "ExpiredToken", False),
        (403, "RequestTimeTooSkewed", False),
        (403, "InvalidAccessKeyId", False),
        (403, "SignatureDoesNotMatch", False),
        (409, "OperationAborted", False),
        (412, "PreconditionFailed", False),
        (416, "InvalidRange", False),
        (429, "Slower", False),
        (500, "InternalError", False),
    ],
)
def test_what_another_attempt_can_not_change_is_an_error_at_once(
    tmp_path: Path, status: int, code: str, for_good: bool
) -> None:
    class Refusing:
        def get_object(self, **_: object) -> None:
            meta = {"HTTPStatusCode": status}
            raise ClientError({"Error": {"Code": code, "Message": "No."}, "ResponseMetadata": meta}, "GetObject")  # type: ignore[typeddict-item]

    with pytest.raises(JobError if for_good else ClientError, match=code):
        fetch(cast("S3Client", Refusing()), S3Uri("team-bucket", "a.cnf"), tmp_path, lambda: None)


def test_a_server_that_is_overloaded_is_no_fault_of_the_jobs(serve: Callable[..., Server], tmp_path: Path) -> None:
    busy = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>"
    server = serve(answer("503 Slow Down", busy, kind="application/xml"))
    with pytest.raises(ClientError, match="SlowDown"):
        fetch(server.s3, S3Uri("team-bucket", "a.cnf"), tmp_path, lambda: None)


def test_a_full_disk_is_an_error_that_names_the_problem(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "problem.cnf").symlink_to("/dev/full")
    with pytest.raises(JobError, match=r"problems/a\.cnf can't be stored.*No space left"):
        fetch(cloud.s3, cloud.upload("a.cnf", SATISFIABLE), tmp_path, lambda: None)
