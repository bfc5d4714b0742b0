"""How much a thousand workers read: as DynamoDB counts it, and by a clock that stands still unless they wait."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_dynamodb import DynamoDBClient

from satcomp_infra.node.cleanup import CleanupWatch
from satcomp_infra.node.context import Context
from satcomp_infra.node.identity import Identity
from satcomp_infra.node.offspring import Offspring
from satcomp_infra.node.program_output import ProgramOutput
from satcomp_infra.node.settings import Settings
from satcomp_infra.node.stop import Stop
from satcomp_infra.node.worker import write_leader
from satcomp_infra.project import NODE_MANIFEST_TABLE, TASK_END_TABLE

PARTITION_UNITS = 3000
ITEM = {"nodeId": {"S": "-" * 36}, "nodeIp": {"S": "10.0.100.100"}, "nodeType": {"S": "WORKER"}}
ITEM |= {"status": {"S": "READY"}, "instanceId": {"S": "i-0123456789abcdef0"}, "lastModified": {"N": "1700000000"}}
ITEM_BYTES = 400
"""What such an item has, with two cleanups."""


class Time(Stop):
    """Waiting takes no time, until there have been so many seconds of it."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.left = seconds
        self.waits: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.left -= seconds
        if self.left <= 0:
            self.set()
        return self.is_set()


class Tables:
    """DynamoDB with so many workers and no leader; `units` are those that scans have taken."""

    def __init__(self, nodes: int, *, throttled: bool = False, end_after: int = 0) -> None:
        """`end_after`: a job has ended after so many looks for that."""
        self._nodes = nodes
        self._throttled = throttled
        self._end_after = end_after
        self._looks = 0
        self.units: Counter[str] = Counter()

    def get_paginator(self, _: str) -> Tables:
        return self

    def paginate(self, TableName: str, **request: Any) -> Iterator[Mapping[str, Any]]:  # noqa: N803
        if self._throttled:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "Scan")
        size, items = 100, []
        if TableName == NODE_MANIFEST_TABLE:
            size, items = self._nodes * ITEM_BYTES, [ITEM] * self._nodes
        elif self._end_after:
            self._looks += 1
            items = [{"leaderIp": {"S": "10.0.1.5"}, "notificationId": {"S": "end"}}] * (self._looks >= self._end_after)
        self.units[TableName] += math.ceil(size / 4096) / (1 if request.get("ConsistentRead") else 2)  # type: ignore[assignment]
        yield {"Items": items, "Count": len(items)}


def client(tables: Tables) -> DynamoDBClient:
    return cast("DynamoDBClient", tables)


def watch(tables: Tables, time: Time) -> None:
    """What a worker does all the time."""
    settings = Settings("", "", "", "", "", Path("/"), Path("/"))
    context = Context(settings, Identity("10.0.1.6", ""), {}, time)
    with ProgramOutput() as output:
        CleanupWatch(context, client(tables), cast("Offspring", None), lambda: None)._watch(output)


@pytest.mark.parametrize("workers", [1, 100, 300, 1000])
def test_workers_that_wait_for_a_leader_or_for_ends_of_jobs_stay_below_what_a_partition_has(
    workers: int, tmp_path: Path
) -> None:
    ends, leader = Tables(workers), Tables(workers)
    watch(ends, Time(180))
    write_leader(client(leader), tmp_path / "leader.json", Time(60))
    read = (ends.units[TASK_END_TABLE] / 180, ends.units[NODE_MANIFEST_TABLE] / 180, leader.units.total() / 60)
    assert all(0 < units * workers < PARTITION_UNITS for units in read)


def test_up_to_two_hundred_workers_each_notices_an_end_within_a_tenth_of_a_second() -> None:
    for workers, pause in ((200, 0.1), (1000, 0.5)):
        time = Time(60)
        watch(Tables(workers), time)
        assert set(time.waits) == {pause}


def test_a_worker_looks_more_often_for_a_while_after_an_end() -> None:
    for workers, least in ((1, 0.02), (100, 0.05), (300, 0.15)):
        time = Time(20)
        watch(Tables(workers, end_after=10), time)
        before, after = time.waits[:10], time.waits[10:]
        usual = max(0.1, least)
        assert set(before) == {usual}
        assert after[0] == least
        assert after == sorted(after)
        for number, pause in enumerate(after):
            assert pause <= max(least, sum(after[:number]) / 20 + 1e-9)
        assert set(after[-100:]) == {usual}


def test_workers_that_are_throttled_read_less_often(tmp_path: Path) -> None:
    for look in (watch, lambda tables, time: write_leader(client(tables), tmp_path / "leader.json", time)):
        time = Time(60)
        look(Tables(10, throttled=True), time)
        assert time.waits[5] > time.waits[4] > time.waits[3]
        assert 2 <= time.waits[-1] <= 5
