"""Whether a node's runtime is alive, for its container's health check: `python -m satcomp_infra.node.health`.

The heartbeat's thread leaves a mark at each beat, whether AWS answers or not: to end a node because AWS doesn't answer
would end its job, too. It must start fast: nothing of this package, nothing slow to import.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

STALE_SECONDS = 60
"""A beat comes every second, or as often as AWS's answers let it: with all their attempts they take ten seconds."""


def _mark() -> Path:
    return Path(tempfile.gettempdir(), f"satcomp-node-{os.getuid()}.alive")


def beat() -> None:
    """Leave the mark. A disk that is full is no reason to fail."""
    with suppress(OSError):
        _mark().touch()


def main() -> int:
    """Exit code 0 where the last beat is not long ago, 1 otherwise."""
    try:
        age = time.time() - _mark().stat().st_mtime
    except FileNotFoundError:
        print("The node runtime has not begun to work yet.")
        return 1
    if age > STALE_SECONDS:
        print(f"The node runtime has given no sign of life for {age:.0f} s.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
