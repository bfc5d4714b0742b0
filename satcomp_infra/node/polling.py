"""How often nodes look at a table, the more of them there are the less often each.

A partition of a DynamoDB table has 3,000 read units a second, and all of a small table's items may be in one. A unit is
a consistent read of up to 4 KiB, or two that are not.
"""

from __future__ import annotations

_MOST_UNITS = 2000.0
"""A second, for all nodes together: so others can read, too."""
_REGISTERED_UNITS = 0.05
"""For a node's item in the register, of 200 bytes or 300, 400 at most, read not consistently."""


def pause(nodes: int, units: float, least: float) -> float:
    """Seconds between two looks of each of so many nodes, where one costs so many units; no less than `least`."""
    return max(least, nodes * units / _MOST_UNITS)


def register_pause(nodes: int, least: float) -> float:
    """The same for the register, with an item for each node: 0.25 s for 100 of them, 25 s for 1,000."""
    return pause(nodes, nodes * _REGISTERED_UNITS, least)
