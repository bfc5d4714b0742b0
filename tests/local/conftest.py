from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

import pytest

from satcomp_infra.local import cloud
from satcomp_infra.local.faults import Faults

from ..waiting import eventually
from .clouds import NODE, REGION, Solver


@pytest.fixture(scope="package")
def solver() -> Iterator[Solver]:
    """A complete stack with pushed images, in a local cloud that all these modules share."""
    with fresh() as solver:
        yield solver


@contextmanager
def fresh() -> Iterator[Solver]:
    """The same in a new local cloud."""
    delays = {"stack_delay": 0.1, "boot_delay": 0.1, "retry_delay": 0.1, "shutdown_delay": 0.5}
    with cloud.start(region=REGION, node_command=NODE, **delays) as local:
        solver = Solver(local)
        solver.create()
        assert solver.settled() == "CREATE_COMPLETE"
        solver.push("leader", "worker")
        yield solver


@pytest.fixture
def empty(solver: Solver) -> Iterator[Solver]:
    """The same, with nothing running before and after."""
    yield solver
    clear(solver)


def clear(solver: Solver) -> None:
    """Let nothing run, and nothing go wrong."""
    solver.cloud.set_faults(**dict.fromkeys(field.name for field in fields(Faults)))
    solver.tasks(0, 0)
    solver.machines(0)
    eventually(lambda: not solver.instances() and not solver.cloud.nodes())
