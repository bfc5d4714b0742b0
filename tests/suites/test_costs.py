"""What a run may cost, and the automatic stop, which several runs on the same machines move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from satcomp_infra import automatic_stop
from satcomp_infra.aws import Aws
from satcomp_infra.errors import SatcompError
from satcomp_infra.jobs import Verdict
from satcomp_infra.suites.costs import BOOT_SECONDS, OVERHEAD_SECONDS, Estimate, Meter, likely_seconds
from satcomp_infra.suites.journal import Run
from satcomp_infra.suites.records import RESULTS, Problem, Row, Settings, write_rows
from satcomp_infra.suites.stop_keeper import StopKeeper

GROUP = "group"
HOUR = 3600


@pytest.mark.usefixtures("aws")
class TestAutomaticStop:
    """Of machines that two runs share. A run's keeper moves it to 10 minutes after what it needs."""

    def keepers(self) -> tuple[StopKeeper, StopKeeper]:
        return StopKeeper(Aws.connect(), GROUP, None), StopKeeper(Aws.connect(), GROUP, None)

    def put(self, minutes: float) -> None:
        automatic_stop.put(Aws.connect(), GROUP, 60 * minutes)

    def minutes(self) -> int:
        at = automatic_stop.when(Aws.connect(), GROUP)
        assert at
        return round((at - datetime.now(UTC)) / timedelta(minutes=1))

    def test_a_run_that_ends_leaves_it_as_the_other_one_needs_it(self) -> None:
        self.put(5)
        short, long = self.keepers()
        assert short.keep(1 * HOUR)
        assert long.keep(4 * HOUR)
        assert self.minutes() == 250
        assert not short.give_back()
        assert not long.keep(4 * HOUR - 60)
        assert self.minutes() == 250
        assert long.give_back()
        assert self.minutes() == 70

    def test_what_the_other_one_has_put_back_too_early_is_moved_again(self) -> None:
        self.put(5)
        long, short = self.keepers()
        assert short.keep(4 * HOUR)
        assert not long.keep(3 * HOUR)
        assert short.give_back()
        assert self.minutes() == 10
        assert long.keep(3 * HOUR)
        assert self.minutes() == 190
        assert long.give_back()
        assert self.minutes() == 10

    def test_what_the_user_sets_meanwhile_counts(self) -> None:
        self.put(5)
        keeper, _ = self.keepers()
        assert keeper.keep(1 * HOUR)
        self.put(8 * 60)
        assert not keeper.keep(1 * HOUR)
        assert not keeper.give_back()
        assert self.minutes() == 480
        automatic_stop.remove(Aws.connect(), GROUP)
        assert not keeper.keep(1 * HOUR)
        assert not automatic_stop.when(Aws.connect(), GROUP)


class TestLikely:
    def likely(self, tmp_path: Path, *rows: Row, timeout: int) -> tuple[float | None, int]:
        (tmp_path / "run").mkdir()
        write_rows(tmp_path / "run" / RESULTS, rows)
        return likely_seconds([Problem(row.problem, "s3://bucket/key") for row in rows], tmp_path, timeout)

    def test_no_problem_takes_longer_than_this_run_s_timeout(self, tmp_path: Path) -> None:
        rows = (Row("p", Verdict.TIMEOUT, wall=1000.5, timeout=1000), Row("q", Verdict.SAT, wall=30, timeout=1000))
        likely, known = self.likely(tmp_path, *rows, timeout=10)
        assert (likely, known) == (20, 2)
        cost = Estimate(2, timeout=10, leaders=1, nodes=1, node_hour=3.6, likely_seconds=likely)
        assert cost.likely
        assert cost.likely < cost.worst

    def test_what_timed_out_sooner_may_take_all_of_this_run_s_time(self, tmp_path: Path) -> None:
        assert self.likely(tmp_path, Row("p", Verdict.TIMEOUT, wall=10, timeout=10), timeout=1000) == (1000, 1)

    def test_an_error_says_nothing_of_the_time(self, tmp_path: Path) -> None:
        rows = (Row("p", Verdict.ERROR, timeout=100), Row("q", Verdict.SAT, wall=30, timeout=100))
        assert self.likely(tmp_path, *rows, timeout=100) == (60, 1)


class TestBudget:
    def test_machines_that_are_started_cost_money_before_the_first_job(self) -> None:
        running, started = (
            Estimate(4, timeout=100, leaders=2, nodes=2, node_hour=3.6, likely_seconds=100, boot_seconds=seconds)
            for seconds in (0, BOOT_SECONDS)
        )
        assert running.worst == pytest.approx(2 * (100 + OVERHEAD_SECONDS) * 2 / 1000)
        assert started.worst == pytest.approx(running.worst + BOOT_SECONDS * 2 / 1000)
        assert started.likely == pytest.approx((100 / 2 + BOOT_SECONDS) * 2 / 1000)
        running.check_budget(running.worst)
        with pytest.raises(SatcompError, match="more than the budget of"):
            started.check_budget(running.worst)
        with pytest.raises(SatcompError, match=r"more than the 0\.50 USD that are left of the budget of 1\.00 USD"):
            running.check_budget(1.0, spent=0.5)

    def test_what_earlier_commands_of_the_run_have_spent_counts(self, tmp_path: Path) -> None:
        Run(tmp_path, Settings("run", "id", node_hour=3.6), [Problem("p", "s3://bucket/key")]).store()
        for spent in (2, 4):
            clock = iter((0.0, 0.0, 500.0, 600.0))
            first, second = Run.open(tmp_path), Run.open(tmp_path)
            meter, follower = Meter(first, lambda clock=clock: next(clock)), Meter(second, lambda: 0.0)  # type: ignore[misc]
            follower.notes = False
            meter.read(1)
            meter.read(15)
            meter.read(0)
            assert meter.dollars == pytest.approx(spent)
            second.read_new()
            assert follower.dollars == pytest.approx(spent)
            assert Run.open(tmp_path).spent == pytest.approx(spent)
