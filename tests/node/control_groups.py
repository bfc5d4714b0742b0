"""Control groups for tests: limits that the kernel sets to a node and all that it starts, as a container's are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..waiting import eventually

_ROOT = Path("/sys/fs/cgroup")


@contextmanager
def limited(controller: str, names: tuple[str, str], value: int) -> Iterator[Path]:
    """A control group with a limit, whose file has these names in versions 1 and 2 (cgroups(7)).

    Whoever may not make one skips the test. All that is in it has to end with the test.
    """
    version_1 = _ROOT / controller / "cgroup.procs"
    parent, name = (version_1.parent, names[0]) if version_1.exists() else (_ROOT, names[1])
    group = parent / f"satcomp-test-{os.getpid()}"
    if not (parent / "cgroup.procs").exists():
        pytest.skip("there are no control groups")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        if not (group / name).exists():
            pytest.skip(f"control groups don't limit {controller} here")
        (group / name).write_text(str(value))
        yield group
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text(), "the end of all in the control group")
        group.rmdir()
