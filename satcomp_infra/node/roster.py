"""Which workers are ready for a job, and how to say why the others aren't."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from .manifest import FRESH_SECONDS, Node, NodeStatus


def sort_out(workers: Iterable[Node], leader: str, last_end: str, now: float) -> tuple[list[Node], dict[str, str]]:
    """Which workers are ready for a job of this leader, and of each other address, why not.

    `last_end` is the id of the leader's last notification, `now` epoch seconds. Both are in the order of the addresses,
    so that the same workers are taken for each job. Where two nodes have the same address, a worker was restarted: the
    newer item holds.
    """
    newest: dict[str, Node] = {}
    for node in sorted(workers, key=lambda node: node.last_modified):
        newest[node.address] = node
    ready, others = [], {}
    for address in sorted(newest, key=_numeric):
        node = newest[address]
        age = now - node.last_modified
        if age > FRESH_SECONDS:
            others[address] = f"not heard of for {age:.0f} s"
        elif node.status != NodeStatus.READY:
            others[address] = str(node.status)
        elif node.last_cleanup is not None and last_end and node.last_cleanup.get(leader) != last_end:
            others[address] = "still cleaning up"
        else:
            ready.append(node)
    return ready, others


def _numeric(address: str) -> tuple[int, str]:
    try:
        return int(ipaddress.ip_address(address)), address
    except ValueError:
        return 0, address


def shortage(wanted: int, ready: list[Node], others: dict[str, str], waited: float) -> str:
    """That the workers weren't ready in time, with how each one is. The arguments are what `sort_out` has returned."""
    asked = f"The job asks for {wanted} worker{'s' if wanted > 1 else ''}"
    found = f"{len(ready)} {'was' if len(ready) == 1 else 'were'} ready within {waited:g} seconds"
    details = [*(f"{node.address} READY" for node in ready), *(f"{address} {why}" for address, why in others.items())]
    return f"{asked}; {found}{': ' + ', '.join(details[:20]) if details else ''}."
