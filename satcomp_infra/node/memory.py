"""Memory that runs out: the kernel is to take the team's programs, not the node, and it tells when it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SCORE = Path("/proc/self/oom_score_adj")
_FIRST = "1000"
_GROUPS = Path("/sys/fs/cgroup")


@contextmanager
def first_to_be_killed() -> Iterator[None]:
    """Let the programs that are started in here be the first that the kernel kills when memory runs out.

    They inherit what this process says of itself meanwhile (proc_pid_oom_score_adj(5); who may only raise the value may
    also lower it again to what it was). Enter it in one thread at a time.
    """
    own = ""
    with suppress(OSError):  # there is no such thing on Darwin
        own = _SCORE.read_text()
        _SCORE.write_text(_FIRST)
    try:
        yield
    finally:
        if own:
            with suppress(OSError):
                _SCORE.write_text(own)


class OomKills:
    """Counts the processes of this container that the kernel has killed to get memory, since this was made."""

    def __init__(self) -> None:
        self._before = _oom_kills()

    def count(self) -> int | None:
        """How many; None where the kernel doesn't tell."""
        now = _oom_kills()
        return None if now is None or self._before is None else now - self._before


def _oom_kills() -> int | None:
    for file in _event_files():
        with suppress(OSError, ValueError):
            counts = dict(line.split() for line in file.read_text().splitlines())
            if "oom_kill" in counts:
                return int(counts["oom_kill"])
    return None


def _event_files() -> Iterator[Path]:
    """Where the kernel counts, for this process's control group: version 2 or 1 (cgroups(7)).

    A container sees its own group as the root of the tree, whatever it is called outside.
    """
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, controllers, group = line.split(":", 2)
            if number == "0":
                tree, name = _GROUPS, "memory.events"
            elif "memory" in controllers.split(","):
                tree, name = _GROUPS / "memory", "memory.oom_control"
            else:
                continue
            yield tree / group.lstrip("/") / name
            yield tree / name
