"""Going through a stack's resources in the order of their dependencies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .stack_resources import NotYet
from .stack_templates import depth

_AGAIN = 0.05


@dataclass
class Walk:
    """Takes resources through one change each; what one depends on comes before it.

    `begin` starts a change and says whether it takes time; `end` ends it, or raises NotYet. Where one of them raises
    anything else, `failed` is told, and what depends on the resource is left out.
    """

    needed: dict[str, set[str]]
    seconds: float
    begin: Callable[[str], bool]
    end: Callable[[str], None]
    failed: Callable[[str, Exception], None]
    stop_at_failure: bool
    running: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._each = self.seconds / depth(self.needed)

    def step(self, now: float) -> float | None:
        """Do what is due; returns when to come again, None when all is done."""
        for name, due in list(self.running.items()):
            if now >= due:
                self._attempt(name, self._end, now)
        progress = True
        while progress and not (self.failures and self.stop_at_failure):
            open_ones = set(self.needed)
            ready = [n for n, others in self.needed.items() if n not in self.running and not others & open_ones]
            progress = False
            for name in ready:
                progress |= self._attempt(name, self._begin, now)
        if self.failures and self.stop_at_failure:
            return None
        return min(self.running.values(), default=None)

    def _attempt(self, name: str, action: Callable[[str, float], bool], now: float) -> bool:
        """Whether others may go on now."""
        try:
            return action(name, now)
        except Exception as error:  # noqa: BLE001  # whatever moto raises is the service's refusal
            self.running.pop(name, None)
            self.failures.append(name)
            self.failed(name, error)
            if not self.stop_at_failure:  # what needs it can't go on, and waits for ever
                self._leave_out(name)
            return False

    def _begin(self, name: str, now: float) -> bool:
        if self.begin(name):
            self.running[name] = now + self._each
            return False
        del self.needed[name]
        return True

    def _end(self, name: str, now: float) -> bool:
        try:
            self.end(name)
        except NotYet:
            self.running[name] = now + _AGAIN
            return False
        del self.running[name], self.needed[name]
        return True

    def _leave_out(self, name: str) -> None:
        self.needed.pop(name, None)
        for other in [other for other, others in self.needed.items() if name in others]:
            if other not in self.running:
                self._leave_out(other)
