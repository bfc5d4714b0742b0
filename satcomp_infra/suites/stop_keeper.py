"""The automatic stop of a run's machines, which must not cut the run short nor outlive it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from .. import automatic_stop
from .costs import MARGIN_SECONDS

if TYPE_CHECKING:
    from ..aws import Aws

_SAME = timedelta(seconds=2)
"""Auto Scaling knows the time of an action to the second."""


class StopKeeper:
    """Moves the automatic stop while jobs of a run remain: late enough for them at worst, never beyond the budget.

    Others may move it, too: another run on the same machines, or the user. So it is looked at each time, and put back
    only as long as it is the one that was put here. Where there is none, none is made. `latest` is the time at which
    the budget is used up, if there is one.
    """

    def __init__(self, aws: Aws, group: str, latest: datetime | None) -> None:
        self._aws = aws
        self._group = group
        self._latest = latest
        self._before: datetime | None = None
        self._put: datetime | None = None

    def keep(self, seconds: float) -> datetime | None:
        """Let the machines run for so many seconds more. Returns the new time of the stop, if it was moved."""
        now = datetime.now(UTC)
        at = automatic_stop.when(self._aws, self._group)
        if at is None or at >= now + timedelta(seconds=seconds):
            return None
        wanted = now + timedelta(seconds=seconds + MARGIN_SECONDS)
        if self._latest:
            wanted = min(wanted, self._latest)
        if wanted <= at:
            return None
        if not self._is_own(at):
            self._before = at
        self._put = automatic_stop.put(self._aws, self._group, (wanted - now).total_seconds())
        return self._put

    def give_back(self) -> datetime | None:
        """Put the stop back to what it was, or a little from now where that is over. Returns the time, if moved."""
        at = automatic_stop.when(self._aws, self._group) if self._put else None
        if at is None or self._before is None or not self._is_own(at):
            return None
        now = datetime.now(UTC)
        wanted = max(self._before, now + timedelta(seconds=MARGIN_SECONDS))
        return automatic_stop.put(self._aws, self._group, (wanted - now).total_seconds()) if wanted < at else None

    def _is_own(self, at: datetime) -> bool:
        return self._put is not None and abs(at - self._put) < _SAME
