"""AWS and nodes for the tests of the node runtime: moto's server, and real processes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from .cloud import Cloud
from .nodes import Metadata, Node


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def metadata() -> Iterator[Metadata]:
    metadata = Metadata()
    yield metadata
    metadata.close()


@pytest.fixture(scope="session")
def account(endpoint: str) -> Cloud:
    """The account that all tests use, one after the other."""
    with pytest.MonkeyPatch.context() as environment:
        _point_to(endpoint, environment)
        return Cloud(endpoint)


@pytest.fixture(scope="module")
def module_cloud(endpoint: str, account: Cloud) -> Iterator[Cloud]:
    """An empty account for all of a module's tests."""
    with pytest.MonkeyPatch.context() as environment:
        _point_to(endpoint, environment)
        account.reset()
        yield account


@pytest.fixture
def cloud(endpoint: str, account: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """An empty account."""
    _point_to(endpoint, monkeypatch)
    account.reset()
    return account


@pytest.fixture
def make_node(cloud: Cloud, metadata: Metadata, tmp_path: Path) -> Iterator[Callable[..., Node]]:
    """Makes nodes that see the same shared directory; they are ended with the test."""
    made: list[Node] = []

    def make(role: str, address: str = "10.0.1.5", **timing: float) -> Node:
        node = Node(role, address, tmp_path / f"{role}-{address}", tmp_path / "shared", timing)
        made.append(node)
        return node

    yield make
    for node in made:
        node.end()
        print(f"--- log of {node.role} {node.address}:\n{node.log}")


def _point_to(endpoint: str, environment: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        environment.setenv(name, value)
