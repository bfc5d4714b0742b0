"""The two tracks of the competition and the machines that they run on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Track:
    """A track: which machine each node is, and how much of it the solver's container gets.

    Memory is in MiB. `machine_memory` is what the machine has by its data sheet, `registered_memory` what its operating
    system leaves for containers, `container_memory` what the container gets: enough below, so that a task always fits.
    """

    name: str
    instance_type: str
    vcpus: int
    machine_memory: int
    registered_memory: int
    container_memory: int
    max_leaders: int | None
    """None: any number of leaders, which then share the queue."""
    max_workers: int | None
    """None: any number of workers."""

    @property
    def has_workers(self) -> bool:
        """Whether a job of this track may have workers beside its leader."""
        return self.max_workers != 0


CLOUD = Track("cloud", "m6i.4xlarge", 16, 65536, 63266, 61000, max_leaders=1, max_workers=None)
PARALLEL = Track("parallel", "m6i.16xlarge", 64, 262144, 253800, 248000, max_leaders=None, max_workers=0)

TRACKS = {track.name: track for track in (CLOUD, PARALLEL)}
