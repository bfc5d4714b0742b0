"""What goes wrong in a local cloud, on request: at its start, and at any time while it runs."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Self

from ..errors import UsageError

DEFAULT_VCPU_QUOTA = 640
"""Room for 40 machines of the cloud track, 10 of the parallel track."""


class Failure(StrEnum):
    """How a call fails."""

    THROTTLED = "throttled"
    INTERNAL_ERROR = "internal-error"
    UNAVAILABLE = "unavailable"
    EXPIRED_TOKEN = "expired-token"  # noqa: S105  # not a password
    UNKNOWN_KEY = "unknown-key"
    ACCESS_DENIED = "access-denied"
    DISCONNECTED = "disconnected"
    """There is no answer: the connection is closed."""


class When(StrEnum):
    """When in a call something happens."""

    BEFORE = "before"
    """Nothing has been done yet."""
    AFTER = "after"
    """All has been done, and the answer is not sent yet."""
    DURING = "during"
    """Half of the answer has been sent."""


class Action(StrEnum):
    """What happens to a node in the middle of a call, or to the call."""

    KILL = "kill"
    """SIGKILL to the node's first process, which is the end of its container."""
    TERMINATE = "terminate"
    """As ECS stops a task: SIGTERM, then SIGKILL."""
    CUT_POWER = "cut-power"
    """The node is killed, and its machine is gone."""
    FREEZE = "freeze"
    """The node's first process stands still for some seconds (SIGSTOP, SIGCONT)."""
    FREEZE_ALL = "freeze-all"
    """So do all processes of its container."""
    HANG = "hang"
    """The call takes some seconds longer."""
    DISCONNECT = "disconnect"
    """The call's connection is closed."""
    FAIL = "fail"
    """The call fails; only before it."""
    DELIVER_AGAIN = "deliver-again"
    """SQS offers the node's message once more, though it is hidden, or even deleted: standard queues may."""


@dataclass(frozen=True)
class CallFault:
    """Calls that fail: those whose name, as `ecs.UpdateService`, matches the pattern `calls`.

    Each fails with the given probability; with `times`, only the first so many. `code` replaces the error's usual code.
    """

    calls: str = "*"
    probability: float = 1.0
    failure: Failure = Failure.THROTTLED
    times: int | None = None
    code: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise UsageError(f"The probability of a fault is from 0 to 1, not {self.probability}.")


@dataclass(frozen=True)
class StepFault:
    """Something happens when a node makes a call: at a known step of what it does, that is.

    Calls are named as `s3.PutObject`; `target` is the S3 object's `bucket/key`, the queue's or the table's name. `role`
    is the caller's; `job` is matched with the body of the message that the caller has received last. All four are
    patterns. `victim` is the role of the node that it happens to, if it isn't the caller. `seconds` is how long it
    lasts. With `times` (None: no end), it happens as often.
    """

    call: str
    when: When = When.BEFORE
    action: Action = Action.KILL
    target: str = "*"
    job: str = "*"
    role: str = "leader"
    victim: str = ""
    seconds: float = 0.0
    times: int | None = 1
    failure: Failure = Failure.THROTTLED

    def __post_init__(self) -> None:
        if self.action is Action.FAIL and self.when is not When.BEFORE:
            raise UsageError(f"A call can fail before it is done, not {self.when} it.")


@dataclass(frozen=True)
class StackFault:
    """A resource, by its logical id, that CloudFormation fails to `create`, `update` or `delete`, and what it says."""

    resource: str
    reason: str = "Resource handler returned message: failed on request"
    operation: str = "create"

    def __post_init__(self) -> None:
        if self.operation not in ("create", "update", "delete"):
            raise UsageError(f"A stack's resource fails in create, update or delete, not in {self.operation}.")


@dataclass(frozen=True)
class NodeDeath:
    """The n-th node of a role ever started, counted from 0, dies so many seconds after its start.

    Its process is killed, or with `machine` its machine is terminated, as EC2 does with a machine that fails.
    """

    role: str
    index: int = 0
    after: float = 0.0
    machine: bool = False


@dataclass(frozen=True)
class TaskFault:
    """Tasks of a role fail to start: `stopped` is the task's stoppedReason, `container` its container's reason."""

    role: str
    container: str = ""
    stopped: str = "Task failed to start"


@dataclass(frozen=True)
class Faults:
    """All that goes wrong. A new one of these takes the place of the old one; nothing in it ever changes."""

    vcpu_quota: int = DEFAULT_VCPU_QUOTA
    """Of the account, for all machines at once (Service Quotas L-1216C47A)."""
    zones_without_capacity: tuple[str, ...] = ()
    zones_without_type: tuple[str, ...] = ()
    """Where a launch is refused because the zone doesn't have the machine type, whatever the list of offerings says."""
    missing_images: tuple[str, ...] = ()
    """Image tags that can't be pulled although the repository has them."""
    launch_refusal: str = ""
    """What EC2 says to each launch, and refuses it; empty: it doesn't."""
    slow_boot: float = 0.0
    """Seconds that booting takes longer. Machines already booting are slow, too."""
    disconnected_agents: bool = False
    """ECS agents have lost their connection: no new task is placed anywhere."""
    reordered_queues: bool = False
    """Messages are received in any order."""
    calls: tuple[CallFault, ...] = ()
    steps: tuple[StepFault, ...] = ()
    stacks: tuple[StackFault, ...] = ()
    stuck_resources: tuple[str, ...] = ()
    """Resources of stacks, by their logical ids, that CloudFormation doesn't get done with."""
    deaths: tuple[NodeDeath, ...] = ()
    tasks: tuple[TaskFault, ...] = ()

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """These faults with some of them replaced, as read from JSON; null ends a fault. Raises UsageError."""
        known: dict[str, Any] = {f.name: f.default for f in fields(self)}
        unknown = sorted(set(changes) - set(known))
        if unknown:
            raise UsageError(f"There is no fault '{unknown[0]}'.", f"Known faults: {', '.join(sorted(known))}.")
        values = {name: known[name] if value is None else _value(name, value) for name, value in changes.items()}
        return replace(self, **values)

    def stack_failure(self, operation: str, resource: str) -> str:
        """Why a resource of a stack fails in an operation; empty where it doesn't."""
        return next((f.reason for f in self.stacks if f.operation == operation and f.resource == resource), "")


_Kind = type[CallFault | StepFault | StackFault | NodeDeath | TaskFault]
_KINDS: dict[str, _Kind] = {
    "calls": CallFault,
    "steps": StepFault,
    "stacks": StackFault,
    "deaths": NodeDeath,
    "tasks": TaskFault,
}
_ENUMS: dict[str, type[StrEnum]] = {"failure": Failure, "when": When, "action": Action}
_TEXTS = ("zones_without_capacity", "zones_without_type", "missing_images", "stuck_resources")
_OTHERS: dict[str, type[int | float | str]] = {"vcpu_quota": int, "slow_boot": float, "launch_refusal": str}


def _value(name: str, value: Any) -> Any:
    try:
        if name in _KINDS:
            return tuple(entry if isinstance(entry, _KINDS[name]) else _entry(_KINDS[name], entry) for entry in value)
        if name in _TEXTS:
            return (value,) if isinstance(value, str) else tuple(str(entry) for entry in value)
        return _OTHERS.get(name, bool)(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"The fault '{name}' can't be read from {value!r}: {error}.") from error


def _entry(kind: _Kind, values: Mapping[str, Any]) -> Any:
    read: dict[str, Any] = {name: _ENUMS[name](value) if name in _ENUMS else value for name, value in values.items()}
    return kind(**read)


@dataclass
class CallFaults:
    """Decides which calls fail. The same calls in the same order fail in the same way: the dice are loaded."""

    dice: random.Random = field(default_factory=lambda: random.Random(20230704))  # noqa: S311  # not a secret
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _used: dict[CallFault, int] = field(default_factory=dict)

    def reset(self) -> None:
        """Count the `times` of each fault from the start again."""
        with self._lock:
            self._used.clear()

    def of(self, call: str, faults: Iterable[CallFault]) -> CallFault | None:
        """The fault that this call, by its name, runs into."""
        for fault in faults:
            if not fnmatchcase(call, fault.calls):
                continue
            with self._lock:
                used = self._used.get(fault, 0)
                if (fault.times is not None and used >= fault.times) or self.dice.random() >= fault.probability:
                    continue
                self._used[fault] = used + 1
            return fault
        return None
