"""What the parts of a local cloud share."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .addresses import AddressBlock
from .faults import CallFaults, Faults
from .scheduler import Scheduler
from .settings import Settings

if TYPE_CHECKING:
    from .machines import Machine
    from .processes import NodeRunner


@dataclass
class World:
    """Settings, faults, machines, and locks: whoever reads or changes moto's state of a service holds its lock.

    moto itself has none. Most services share one, because what happens in one changes the others. Services that have
    much to do, and nothing to do with the rest, have their own; it is taken after the shared one.
    """

    settings: Settings
    faults: Faults
    endpoint: str
    addresses: AddressBlock = field(default_factory=AddressBlock)
    call_faults: CallFaults = field(default_factory=CallFaults)
    lock: threading.RLock = field(default_factory=threading.RLock)
    own_locks: dict[str, threading.Lock] = field(
        default_factory=lambda: {name: threading.Lock() for name in ("s3", "sqs", "dynamodb", "logs")}
    )
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    machines: dict[str, Machine] = field(default_factory=dict)
    """Those that Auto Scaling has launched and that are not gone yet, by their instance's id."""
    scheduler: Scheduler = field(init=False)
    runner: NodeRunner = field(init=False)

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.lock)

    @property
    def mark_prefix(self) -> str:
        """How the marks of all containers of this cloud start."""
        return f"{self.endpoint}/ecs/{self.id}/"

    @contextmanager
    def all_locks(self) -> Iterator[None]:
        """All services at once."""
        with self.lock, ExitStack() as held:
            for lock in self.own_locks.values():
                held.enter_context(lock)
            yield

    def set_faults(self, faults: Faults) -> None:
        """From now on, this goes wrong and nothing else."""
        with self.lock:
            self.faults = faults
            self.call_faults.reset()
        self.scheduler.wake()
