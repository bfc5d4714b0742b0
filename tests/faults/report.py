"""What came of the jobs, counted."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

_COUNTS = ("runs", "lost", "duplicated", "wrong", "missed", "announced_again")
_HEADINGS = ("runs", "lost", "dupl.", "wrong", "missed", "twice", "back s", "worst", "done s", "worst")


@dataclass
class Tally:
    """How the jobs of one kind of fault at one step ended. Times are seconds from the fault."""

    runs: int = 0
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    missed: int = 0
    """Jobs whose fault never came: nothing was tested."""
    announced_again: int = 0
    """Jobs with a second announcement: two leaders saw the result stored, and the message not yet deleted."""
    back: list[float] = field(default_factory=list)
    """Until the job was offered again, received again, or deleted by its own leader."""
    done: list[float] = field(default_factory=list)
    """Until the job's message was deleted for the last time."""

    def add(self, other: Tally) -> None:
        """Add others' jobs."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.back += other.back
        self.done += other.done

    def line(self, kind: str, step: str) -> str:
        """As a line of the table."""
        counts = "".join(f"{getattr(self, name):>7}" for name in _COUNTS)
        times = [value for seen in (self.back, self.done) for value in (_median(seen), max(seen, default=None))]
        return f"{kind:<23}{step:<18}{counts}" + "".join(f"{'-' if t is None else f'{t:.2f}':>8}" for t in times)


@dataclass
class Report:
    """All tallies, by kind and step, and in words what else is not as it should be."""

    tallies: dict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    faults: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Add another run's."""
        for key, tally in other.tallies.items():
            self.tallies[key].add(tally)
        self.faults += other.faults

    @property
    def total(self) -> Tally:
        """Of all kinds and steps."""
        total = Tally()
        for tally in self.tallies.values():
            total.add(tally)
        return total

    @property
    def is_good(self) -> bool:
        """Whether there were jobs, and nothing at all is wrong with any."""
        total = self.total
        return total.runs > 0 and not (total.lost or total.duplicated or total.wrong or total.missed or self.faults)

    def lines(self) -> Iterator[str]:
        """The report as a table: first each kind at each step, then each kind at all steps."""
        headings = "".join(f"{name:>7}" for name in _HEADINGS[:6]) + "".join(f"{name:>8}" for name in _HEADINGS[6:])
        yield f"{'what happens':<23}{'when':<18}{headings}"
        kinds: dict[str, Tally] = defaultdict(Tally)
        for (kind, step), tally in sorted(self.tallies.items()):
            yield tally.line(kind, step)
            kinds[kind].add(tally)
        for kind, tally in kinds.items():
            if (kind, "any") not in self.tallies:
                yield tally.line(kind, "at all steps")
        yield self.total.line("everything", "")
        yield from self.faults


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None
