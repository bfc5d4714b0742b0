"""A run's machines: started for it and stopped however it ends, and the automatic stop that is moved for it."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import handlers

from satcomp_infra.aws import Aws
from satcomp_infra.finding import find
from satcomp_infra.fleet import Cluster
from satcomp_infra.local import cloud
from satcomp_infra.local.cloud import LocalCloud
from satcomp_infra.local.walkthrough import register_images
from satcomp_infra.suites import records
from satcomp_infra.suites.journal import Run

from ..typing_commands import NAMES, PROJECT, Answer, create, run
from .leaders import Leaders, benchmarks, suite

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def running() -> Iterator[LocalCloud]:
    delays = {"stack_delay": 0.05, "boot_delay": 0.05, "shutdown_delay": 0.1}
    with cloud.start(simulate_nodes=True, zones=["us-east-1a", "us-east-1b"], **delays) as local:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in local.environment().items():
                patch.setenv(name, value)
            assert create("parallel").code == 0
        register_images(local)
        yield local


@pytest.fixture
def local(running: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    monkeypatch.setattr("satcomp_infra.suites.plots.missing", lambda: "no pictures")
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    yield running
    assert run("instances", "--option", "shutdown", meanwhile=moment).code == 0


def moment() -> None:
    time.sleep(0.02)


def start(
    tmp_path: Path, *more: object, act: Callable[[], Any], timeout: int = 60, number: int = 3, pace: float = 0
) -> Answer:
    words = (suite(tmp_path / "suite", number), "--timeout", timeout, "--yes", "--output", tmp_path / "run", *more)
    return benchmarks(*words, act=act, meanwhile=moment, pace=pace)


def stop_at() -> datetime | None:
    actions = boto3.client("autoscaling").describe_scheduled_actions()["ScheduledUpdateGroupActions"]
    return next((action["StartTime"].astimezone(UTC) for action in actions), None)


def in_minutes(at: datetime | None) -> float:
    assert at
    return (at - datetime.now(UTC)) / timedelta(minutes=1)


class TestSetup:
    def test_the_machines_are_started_for_the_run_and_stopped_after_it(self, local: LocalCloud, tmp_path: Path) -> None:
        leaders, seen = Leaders(), []

        def act() -> None:
            seen.append((len(local.nodes()), in_minutes(stop_at())))
            leaders.work()

        answer = start(tmp_path, "--setup", "--leaders", 3, act=act)
        assert answer.code == 0, answer.err
        ((nodes, minutes),) = seen
        assert nodes == 3
        assert 12 < minutes <= 12.6  # one problem for each leader, 60 s and what it needs beside, and the margin
        assert local.nodes() == []
        assert stop_at() is None
        assert "All machines are gone" in answer.err

    @pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (RuntimeError, 1)])
    def test_they_are_stopped_also_after_ctrl_c_and_after_a_failure(
        self, local: LocalCloud, tmp_path: Path, error: type[BaseException], code: int
    ) -> None:
        def act() -> None:
            assert len(local.nodes()) == 1
            raise error

        answer = start(tmp_path, "--setup", act=act, pace=0.1)
        assert answer.code == code
        assert local.nodes() == []
        assert stop_at() is None
        assert "No machine is running. Jobs that are not done stay on the queue" in answer.err
        assert f"--resume {tmp_path / 'run'} --setup" in answer.err
        assert Run.open(tmp_path / "run").spent > 0, "booting costs money"
        leaders = Leaders()
        again = benchmarks("--resume", tmp_path / "run", "--setup", "--yes", act=leaders.work, meanwhile=moment)
        assert again.code == 0, again.err
        assert len(leaders.jobs) == 3
        assert local.nodes() == []

    def test_where_they_can_t_be_started_nothing_is_sent(self, local: LocalCloud, tmp_path: Path) -> None:
        local.set_faults(vcpu_quota=64)
        try:
            answer = start(tmp_path, "--setup", "--leaders", 2, act=Leaders().work)
        finally:
            local.set_faults(vcpu_quota=None)
        assert answer.code == 1
        assert "more than the account may run at once" in answer.err
        assert not (tmp_path / "run" / "jobs.jsonl").exists()
        assert local.nodes() == []

    def test_a_start_that_is_refused_stops_nobody_s_machines(self, local: LocalCloud, tmp_path: Path) -> None:
        assert run("instances", "--option", "setup", "--stop-after", "3h", meanwhile=moment).code == 0
        before, stop = [node.task for node in local.nodes()], stop_at()
        local.set_faults(vcpu_quota=64)
        try:
            answer = start(tmp_path, "--setup", "--leaders", 2, act=Leaders().work)
        finally:
            local.set_faults(vcpu_quota=None)
        assert answer.code == 1
        assert "more than the account may run at once" in answer.err
        assert [node.task for node in local.nodes()] == before
        assert stop_at() == stop

    def test_a_start_that_is_taken_back_leaves_what_ran_before(self, local: LocalCloud, tmp_path: Path) -> None:
        assert run("instances", "--option", "setup", "--stop-after", "3h", meanwhile=moment).code == 0
        before, stop = [node.task for node in local.nodes()], stop_at()
        local.set_faults(zones_without_capacity=["us-east-1a", "us-east-1b"])
        try:
            answer = start(tmp_path, "--setup", "--leaders", 2, act=Leaders().work)
        finally:
            local.set_faults(zones_without_capacity=None)
        assert answer.code == 1
        assert "The cluster is back at the leader, as before." in answer.words
        assert [node.task for node in local.nodes()] == before
        assert abs(in_minutes(stop_at()) - in_minutes(stop)) < 1

    def test_they_are_stopped_also_after_ctrl_c_while_they_start(self, local: LocalCloud, tmp_path: Path) -> None:
        interrupts = iter([KeyboardInterrupt])
        cluster = Cluster.of(Aws.connect(), find(Aws.connect(), None))

        def meanwhile() -> None:
            moment()
            if cluster.instances():
                for interrupt in interrupts:
                    raise interrupt

        local.set_faults(slow_boot=60)
        words = (suite(tmp_path / "suite", 1), "--timeout", 60, "--yes", "--output", tmp_path / "run", "--setup")
        try:
            answer = benchmarks(*words, meanwhile=meanwhile)
        finally:
            local.set_faults(slow_boot=None)
        assert answer.code == 130
        assert "All machines are gone" in answer.err
        assert "No machine is running." in answer.err
        assert cluster.look().desired_instances == 0
        assert stop_at() is None

    def test_a_second_ctrl_c_ends_the_wait_and_not_the_stopping(
        self, local: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        interrupted: list[str] = []

        def interrupt(when: str) -> None:
            if when not in interrupted:
                interrupted.append(when)
                raise KeyboardInterrupt

        def before_the_machines_are_counted(**_: object) -> None:
            if "running" in interrupted:
                interrupt("stopping")  # before AWS has been asked for anything

        hook = ("before-parameter-build.ec2.DescribeInstances", before_the_machines_are_counted)
        monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, hook])
        answer = start(tmp_path, "--setup", act=lambda: interrupt("running"))
        assert interrupted == ["running", "stopping"]
        assert answer.code == 130
        assert "All machines are gone" not in answer.err
        assert "AWS goes on with that. To see that none is left:" in answer.words
        assert Cluster.of(Aws.connect(), find(Aws.connect(), None)).look().desired_instances == 0

    @pytest.mark.parametrize(("by", "code"), [("SIGTERM", 143), ("a closed terminal", 129)])
    def test_they_are_stopped_also_when_the_program_is(
        self, local: LocalCloud, tmp_path: Path, by: str, code: int
    ) -> None:
        words = (suite(tmp_path / "suite", 1), "--timeout", 60, "--yes", "--output", tmp_path / "run", "--setup")
        terminal, slave = os.openpty()
        with subprocess.Popen(
            ["setsid", "--ctty", sys.executable, ROOT / "run_benchmarks", *map(str, words)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
        ) as program:
            os.close(slave)
            seen = b""
            while b"Following" not in seen:
                seen += os.read(terminal, 10_000)
            assert len(local.nodes()) == 1
            if by == "SIGTERM":
                program.terminate()
                while not re.search(rb"Stopped by SIGTERM\..*No machine is running\.", seen, re.DOTALL):
                    seen += os.read(terminal, 10_000)
                assert program.wait(20) == code
            os.close(terminal)
            assert program.wait(20) == code
        assert local.nodes() == []
        assert stop_at() is None

    def test_the_automatic_stop_is_never_beyond_the_budget(self, local: LocalCloud, tmp_path: Path) -> None:
        seen: list[float] = []
        leaders = Leaders()

        def act() -> None:
            seen.append(in_minutes(stop_at()))
            leaders.work()

        assert start(tmp_path, "--setup", "--budget", "2.10", act=act, timeout=600).code == 0
        assert 40 < seen[0] < 2.10 / 3.09 * 60 + 0.1


class TestAutomaticStop:
    """Of machines that somebody else has started: it is moved while jobs remain, and put back at the end."""

    def machines(self, stop_after: str) -> None:
        assert run("instances", "--option", "setup", "--stop-after", stop_after, meanwhile=moment).code == 0

    def run(self, tmp_path: Path, *more: object, timeout: int) -> tuple[float | None, Answer]:
        seen: list[float | None] = []
        leaders, looks = Leaders(), []

        def meanwhile() -> None:
            moment()
            looks.append(None)
            if len(looks) == 3:
                seen.append(in_minutes(stop_at()) if stop_at() else None)
                leaders.work()

        words = (suite(tmp_path / "suite", 3), "--timeout", timeout, "--yes", "--output", tmp_path / "run", *more)
        answer = benchmarks(*words, meanwhile=meanwhile)
        assert answer.code == 0, answer.err
        return seen[0], answer

    def test_one_that_would_cut_the_run_short_is_moved_and_then_put_back(
        self, local: LocalCloud, tmp_path: Path
    ) -> None:
        self.machines("2m")
        during, answer = self.run(tmp_path, timeout=1000)
        assert "The automatic stop was moved to" in answer.err
        assert during
        assert 3 * (1000 + 90) / 60 + 9 < during < 3 * (1000 + 90) / 60 + 11
        assert 8 < in_minutes(stop_at()) <= 10.1

    def test_one_that_is_late_enough_stays(self, local: LocalCloud, tmp_path: Path) -> None:
        self.machines("3h")
        before = stop_at()
        _, answer = self.run(tmp_path, timeout=1000)
        assert "was moved" not in answer.err
        assert stop_at() == before

    def test_where_there_is_none_none_is_made(self, local: LocalCloud, tmp_path: Path) -> None:
        self.machines("never")
        during, _ = self.run(tmp_path, timeout=1000)
        assert during is None
        assert stop_at() is None


def test_a_run_that_is_killed_again_and_again_loses_no_problem_and_solves_none_twice(tmp_path: Path) -> None:
    solver = tmp_path / "solver"
    solver.mkdir()
    (solver / "solver").write_text("#!/bin/sh\nexit 20\n")
    (solver / "solver").chmod(0o755)
    number, moments = 40, random.Random(7)
    output = tmp_path / "run"
    with cloud.start(solver_dir=solver, stack_delay=0.05, boot_delay=0.05, shutdown_delay=0.1) as local:
        environment = {**os.environ, **local.environment()}

        def typed(*words: object) -> subprocess.Popen[bytes]:
            command = [sys.executable, ROOT / "run_benchmarks", *map(str, words)]
            return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        with pytest.MonkeyPatch.context() as patch:
            for name, value in local.environment().items():
                patch.setenv(name, value)
            assert create("parallel", PROJECT).code == 0
            register_images(local)
            assert run("instances", "--option", "setup", "--leaders", "2", meanwhile=moment).code == 0
        begun = typed(suite(tmp_path / "suite", number), "--timeout", 60, "--yes", "--output", output)
        journal = output / "jobs.jsonl"  # a kill before all is sent is tested in test_run.py: it is waited for longer
        while begun.poll() is None and not (journal.exists() and journal.read_text().count('"sent"') == number / 10):
            time.sleep(0.001)
        begun.kill()
        begun.wait()
        for _ in range(3):
            again = typed("--resume", output, "--yes")
            time.sleep(0.5 + moments.random())
            again.kill()
            again.wait()
        assert typed("--resume", output, "--yes").wait(60) == 0
        found = records.read(output).rows
        assert [row.verdict for row in found] == ["UNSAT"] * number
        pages = (
            local.client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=NAMES.bucket, Prefix="results/", Delimiter="/")
        )
        assert sum(len(page.get("CommonPrefixes", ())) for page in pages) == number
