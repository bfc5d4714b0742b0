from __future__ import annotations

import os
from collections.abc import Iterator

import docker.client
import pytest

from tests.registry.engine import missing

from . import engine
from .prepare import prepare


@pytest.fixture(scope="session")
def host() -> Iterator[str]:
    """The address of an engine that has the images of the present source."""
    if os.environ.get("SATCOMP_TEST_IMAGES") != "yes":
        pytest.skip("building images and starting containers of them takes minutes: make test-images")
    assert not missing(), missing()
    with engine.running() as host:
        prepare(host)
        yield host


@pytest.fixture
def docker_engine(host: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[docker.client.DockerClient]:
    """The engine, which commands find, too."""
    monkeypatch.setenv("DOCKER_HOST", host)
    client = docker.client.DockerClient(base_url=host)
    yield client
    left = client.containers.list(all=True)
    for container in left:
        container.remove(force=True)
    client.close()
    assert not left, "containers were left behind"
