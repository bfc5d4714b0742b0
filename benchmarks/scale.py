"""How many calls of AWS a setup, a look and a shutdown take, for 101 and 1,000 nodes, against AWS's published rates.

Run it with `make bench`, or `python benchmarks/scale.py [NODES ...]`. Nodes are simulated by the local cloud; machines
need 40 seconds to boot, so that a setup waits for them as it does in AWS. For each command: its calls, in all and per
minute of the wait, the busiest kind of them as a share of what AWS allows (sustained), and the memory of its process,
at its peak and how much that grew in the second half of a wait. The local cloud's server answers slowly where there are
many machines, so that there are fewer looks a minute than in AWS: calls for each look are what compares the sizes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from satcomp_infra.local import cloud
from satcomp_infra.local.cloud import LocalCloud
from satcomp_infra.local.walkthrough import register_images

ROOT = Path(__file__).parents[1]
BOOT_SECONDS = 40.0
PROJECT = "scale"

# Calls per second that AWS allows in the long run, for all calls of a kind together. ECS: Amazon ECS API reference,
# "Request throttling". EC2: EC2 developer guide, "Request throttling". CloudWatch Logs: user guide, "Quotas". DynamoDB,
# SQS and S3 allow thousands; Auto Scaling and CloudFormation publish no numbers: these are compared with the lowest of
# ECS's for reading.
RATES = {
    "ecs resources": 20.0,
    "ecs services, read": 20.0,
    "ecs services, change": 5.0,
    "ecs clusters": 20.0,
    "ecs task definitions": 20.0,
    "ec2": 20.0,
    "logs": 5.0,
    "autoscaling": 20.0,
    "cloudformation": 20.0,
}
_ECS = {
    "DescribeContainerInstances": "ecs resources",
    "ListContainerInstances": "ecs resources",
    "DescribeTasks": "ecs resources",
    "ListTasks": "ecs resources",
    "DescribeServices": "ecs services, read",
    "UpdateService": "ecs services, change",
    "DescribeClusters": "ecs clusters",
    "DescribeTaskDefinition": "ecs task definitions",
}


@dataclass(frozen=True)
class Measured:
    """A command that has run. Memory in MiB."""

    seconds: float
    calls: Mapping[str, int]
    peak: float
    growth: float

    @property
    def looks(self) -> int:
        """How often a setup has looked how far the cluster is."""
        return self.calls["ecs.DescribeClusters"]

    @property
    def busiest(self) -> tuple[str, float]:
        """The kind of call that comes closest to what AWS allows, and its share of that, averaged over the run."""
        kinds: Counter[str] = Counter()
        for call, number in self.calls.items():
            service, _, operation = call.partition(".")
            kinds[_ECS[operation] if service == "ecs" else service] += number
        shares = {kind: number / self.seconds / RATES[kind] for kind, number in kinds.items() if kind in RATES}
        kind = max(shares, key=lambda kind: shares[kind])
        return kind, shares[kind]


def resident(pid: int) -> float:
    """A process's memory now, in MiB; 0 where it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run(local: LocalCloud, *words: str) -> Measured:
    """Run a command as a process of its own, and measure it."""
    local.forget_calls()
    started = time.monotonic()
    sizes = []
    with tempfile.TemporaryFile() as output:
        command = subprocess.Popen(
            [sys.executable, ROOT / words[0], *words[1:]],
            env={**os.environ, **local.environment()},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        while command.poll() is None:
            sizes.append(resident(command.pid))
            time.sleep(0.2)
        if command.returncode:
            output.seek(0)
            sys.exit(f"{' '.join(words)} failed:\n{output.read().decode()}")
    sizes = [size for size in sizes if size]
    return Measured(
        seconds=time.monotonic() - started,
        calls=local.calls(),
        peak=max(sizes),
        growth=max(sizes) - max(sizes[: len(sizes) // 2 or 1]),
    )


def fill_manifest(local: LocalCloud, nodes: int) -> None:
    """What so many nodes would say of themselves: simulated ones say nothing."""
    machines = [node.instance for node in local.nodes()]
    now = str(int(time.time()))
    items = [
        {
            "nodeId": {"S": f"node-{number}"},
            "nodeIp": {"S": f"10.0.{number // 250}.{number % 250 + 1}"},
            "nodeType": {"S": "WORKER" if number else "LEADER"},
            "status": {"S": "READY"},
            "instanceId": {"S": machine},
            "lastModified": {"N": now},
        }
        for number, machine in enumerate(machines[:nodes])
    ]
    dynamodb = local.client("dynamodb")
    for start in range(0, len(items), 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        dynamodb.batch_write_item(RequestItems={"SatCompNodeManifest": puts})


def show(nodes: int, name: str, measured: Measured) -> None:
    """A row of the table."""
    calls = sum(measured.calls.values())
    kind, share = measured.busiest
    waits = name == "setup"
    minutes = f"{calls / measured.seconds * 60:7.0f}{calls / measured.looks:>7.1f}" if waits else f"{'':>14}"
    growth = f"{measured.growth:>+7.1f}" if waits else ""
    print(
        f"{nodes:>6}  {name:<10}{measured.seconds:>8.1f}{calls:>7}{minutes}  {kind:<22}{share:>5.0%}"
        f"{measured.peak:>9.0f}{growth}"
    )


def main() -> None:
    """Measure each size; print the table, and what grew from the smallest to the largest."""
    sizes = [int(word) for word in sys.argv[1:]] or [101, 1000]
    print(" nodes  command    seconds  calls   /min  /look  busiest kind        of AWS's   MiB  growth")
    looks: dict[int, Measured] = {}
    setups: dict[int, Measured] = {}
    for nodes in sizes:
        with cloud.start(simulate_nodes=True, stack_delay=0.1, vcpu_quota=100_000) as local:
            run(local, "create-solver-infrastructure", "--project", PROJECT, "--solver-type", "cloud")
            register_images(local)
            local.set_faults(slow_boot=BOOT_SECONDS)
            setup = ("update_instances", "--option", "setup", "--workers", str(nodes - 1), "--timeout", "10m")
            setups[nodes] = run(local, *setup)
            show(nodes, "setup", setups[nodes])
            fill_manifest(local, nodes)
            looks[nodes] = run(local, "show_status", "--json")
            show(nodes, "status", looks[nodes])
            show(nodes, "shutdown", run(local, "update_instances", "--option", "shutdown"))
    small, large = min(sizes), max(sizes)
    if small < large:
        per_look = [sum(setups[n].calls.values()) / setups[n].looks for n in (large, small)]
        print(
            f"{large / small:.1f} times the nodes: {per_look[0] / per_look[1]:.1f} times the calls for each look of a "
            f"setup, {sum(looks[large].calls.values()) / sum(looks[small].calls.values()):.1f} times the calls of a "
            f"status, {setups[large].peak / setups[small].peak:.2f} times the memory of a setup"
        )


if __name__ == "__main__":
    main()
