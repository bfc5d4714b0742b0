"""How a local cloud is set up. What goes wrong in it is in `faults`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_REGION = "us-east-1"
"""Of the local cloud, where neither its caller nor AWS_DEFAULT_REGION names one: the region that moto knows best."""
ACCOUNT = "123456789012"
"""moto's account. All that is in a local cloud belongs to it."""

CLONE = Path(__file__).parents[2]
"""Where the package is run from: node processes find it there, too."""
SAMPLE_SOLVER = CLONE / "docker" / "sample-solver"


@dataclass(frozen=True)
class Settings:
    """Times are in seconds: AWS takes minutes, a rehearsal can't."""

    state_dir: Path
    region: str = DEFAULT_REGION
    solver_dir: Path = SAMPLE_SOLVER
    """Holds `solver`, and `worker` and `cleanup` where there are workers: each node gets a copy of them."""
    node_command: tuple[str, ...] = field(default_factory=lambda: (sys.executable, "-m", "satcomp_infra.node"))
    """What a container runs; the node's role follows as the last argument."""
    zones: tuple[str, ...] = ()
    """Zones that offer the machines; empty: as in AWS, by moto's data."""
    boot_seconds: float = 0.3
    """From a machine's launch until it has joined its cluster; half of it until EC2 calls it running, or terminated."""
    shutdown_seconds: float = 2.0
    """What containers on a machine that is being terminated get to end by themselves."""
    stop_seconds: float | None = None
    """Between SIGTERM and SIGKILL of a task that is stopped; None: as its definition says, or ECS's 30 seconds."""
    stack_seconds: float = 0.8
    """What CloudFormation takes for all of a stack."""
    retry_seconds: float = 1.0
    """Until Auto Scaling tries again after a launch failed. ECS waits half of it, then longer, after a task failed."""
    simulate_nodes: bool = False
    """Run no processes: nodes only seem to run. For clusters larger than the machine."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Local images by role: nodes are containers of them instead of processes. Empty: processes."""
    container_memory: int = 0
    """MiB that such a container gets; 0: no limit."""
