"""How long nodes have been silent, by what this node has seen of them itself."""

from __future__ import annotations

import time
from collections.abc import Mapping

_MOST = 2.0
"""Seconds between two looks that count as silence: what lies beyond was nobody's but this node's own, or AWS's."""


class Silences:
    """Follows what nodes say of themselves, each by its id: a time, which changes about once a second.

    No clock is compared with another one's. And where this node could not look for a while, because AWS didn't answer
    or because it was stopped itself, that while is not held against the others.
    """

    def __init__(self) -> None:
        self._said: dict[str, float | None] = {}
        self._silent: dict[str, float] = {}
        self._looked_at = 0.0

    @property
    def known(self) -> bool:
        """Whether there was a look before."""
        return bool(self._said)

    def look(self, said: Mapping[str, float | None]) -> dict[str, float]:
        """How many seconds each node has been silent, now that they say this; None is one that says nothing."""
        now = time.monotonic()
        passed = min(now - self._looked_at, _MOST)
        self._silent = {
            node: self._silent[node] + passed if node in self._said and self._said[node] == time_ else 0.0
            for node, time_ in said.items()
        }
        self._said, self._looked_at = dict(said), now
        return dict(self._silent)
