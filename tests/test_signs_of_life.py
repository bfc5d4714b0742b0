"""Of which nodes a setup has heard, by their register."""

from __future__ import annotations

import time

import pytest

from satcomp_infra.aws import Aws
from satcomp_infra.node import manifest
from satcomp_infra.signs_of_life import SignsOfLife

from .typing_commands import exists

pytestmark = pytest.mark.usefixtures("aws")


def tell(name: str, kind: str, *, status: str = "READY", address: str = "", ago: float = 0) -> None:
    """Write a node's item, as the node does."""
    item = {"nodeId": name, "nodeIp": address or name, "nodeType": kind, "status": status}
    manifest.put(Aws.connect().dynamodb, {**item, "lastModified": int(time.time() - ago)})


def look() -> tuple[int, int]:
    return SignsOfLife(Aws.connect()).look()


def test_nodes_that_work_are_counted_by_their_role() -> None:
    exists()
    assert look() == (0, 0)
    tell("leader", "LEADER", status="BUSY")
    tell("one", "WORKER")
    tell("two", "WORKER")
    tell("lock", "LOCK_OF_THE_WORKERS")
    assert look() == (1, 2)


def test_a_node_that_has_failed_is_not_counted() -> None:
    exists()
    tell("one", "WORKER", status="ERROR")
    tell("two", "WORKER", ago=10)
    assert look() == (0, 0)


def test_a_node_started_anew_is_counted_once() -> None:
    exists()
    tell("died", "WORKER", address="10.0.1.6", ago=2)
    tell("lives", "WORKER", address="10.0.1.6")
    assert look() == (0, 1)
    tell("died, too", "WORKER", address="10.0.1.7", ago=2)
    tell("has failed", "WORKER", address="10.0.1.7", status="ERROR")
    assert look() == (0, 1)


def test_a_node_whose_clock_is_behind_is_counted_once_it_has_said_two_things() -> None:
    exists()
    signs = SignsOfLife(Aws.connect())
    tell("slow", "LEADER", ago=100)
    assert signs.look() == (0, 0)
    tell("slow", "LEADER", ago=99)
    assert signs.look() == (1, 0)


def test_without_a_register_nothing_is_heard_of() -> None:
    assert look() == (0, 0)
