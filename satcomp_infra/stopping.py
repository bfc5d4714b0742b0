"""Stopping a cluster: nothing is done before EC2 has no machine of it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import SatcompError
from .units import count, duration

if TYPE_CHECKING:
    from .fleet import Cluster
    from .progress import Console

SHUTDOWN = "./update_instances --option shutdown"
"""What to type to stop all machines."""


def stop_all(cluster: Cluster, console: Console, timeout: float) -> None:
    """Stop all nodes, and wait until EC2 has no machine of the cluster any more."""
    otherwise, console.when_interrupted = console.when_interrupted, f"Machines may still run. Stop them:\n{SHUTDOWN}"
    total = len(cluster.instances())
    ask_to_stop(cluster, console)
    left = cluster.instances()
    if not total and not left:
        console.when_interrupted = otherwise
        return
    total = max(total, len(left))

    def late() -> SatcompError:
        return SatcompError(
            f"After {duration(timeout)} EC2 still hasn't terminated {', '.join(left)}.",
            f"They cost money. Try again:\n{SHUTDOWN}\nIf that doesn't help, terminate them in the EC2 console.",
        )

    with console.waiting(f"Stopping {count(total, 'machine')}", total) as wait:
        for left in wait.looks(cluster.instances, timeout, late):
            total = max(total, len(left))
            wait.update(f"{total - len(left)} of {count(total, 'machine')} stopped", total - len(left))
            if not left:
                break
        elapsed = wait.elapsed
    console.when_interrupted = otherwise
    console.say(f"All machines are gone, after {duration(elapsed)}.")


def ask_to_stop(cluster: Cluster, console: Console) -> None:
    """Let AWS stop all nodes, without waiting for that."""
    cluster.stop()
    console.when_interrupted = (
        f"The machines are being stopped, and AWS goes on with that. To see that none is left:\n{SHUTDOWN}"
    )
