from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import pytest

from satcomp_infra.local import cloud
from satcomp_infra.local.faults import Faults

from .clouds import NODE, REGION, Solver, eventually


@pytest.fixture(scope="module")
def solver() -> Iterator[Solver]:
    """A complete stack with pushed images and nothing running, in a local cloud of the module's own."""
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
    solver.cloud.set_faults(**dict.fromkeys(field.name for field in fields(Faults)))
    solver.tasks(0, 0)
    solver.machines(0)
    eventually(lambda: not solver.instances() and not solver.cloud.nodes())
