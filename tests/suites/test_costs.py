"""What a run may cost, and the automatic stop, which several runs on the same machines move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from satcomp_infra import automatic_stop
from satcomp_infra.aws import Aws
from satcomp_infra.suites.costs import StopKeeper

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
