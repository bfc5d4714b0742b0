"""Waiting in tests: until something is so, never for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds. A wait ends as soon as it can, so that a busy machine may get as much as it needs."""
AT_ONCE = 20.0
"""Seconds: what must not be waited for takes longer, and a busy machine gets its time here, too."""
_FIRST_PAUSE, _SLOWING, _LONGEST_PAUSE = 0.02, 1.3, 0.2


def eventually(look: Callable[[], T], what: str = "", within: float = PATIENCE) -> T:
    """The first result of `look` that is true. It is asked less and less often: each look takes its time, too."""
    deadline, pause = time.monotonic() + within, _FIRST_PAUSE
    while not (seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {within:g} s{what and ': '}{what}"
        time.sleep(pause)
        pause = min(pause * _SLOWING, _LONGEST_PAUSE)
    return seen
