from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import engine
from .engine import Registry


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A real engine and a real registry, under the name that ECR has for moto's account."""
    engine.require()
    with engine.running(tmp_path_factory.mktemp("registry")) as running:
        yield running
