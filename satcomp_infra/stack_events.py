"""Following what CloudFormation does to a stack, event by event, to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import SatcompError
from .stack import Stack, State, describe
from .units import duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .aws import Aws
    from .progress import Console, Wait


def events_so_far(aws: Aws, stack_id: str) -> set[str]:
    """The ids of all events that there are: what follow() then passes over."""
    return {event["EventId"] for event in _events(aws, stack_id)}


def follow(
    aws: Aws,
    stack_id: str,
    wait: Wait,
    *,
    timeout: float,
    seen: set[str] | None = None,
    resources: int | None = None,
) -> tuple[Stack, str]:
    """Tell each event of the operation under way until it ends. Returns the stack and the first cause of a failure.

    `seen` are the ids of events of earlier operations; without it, those before the operation's start are passed over.
    `resources` is how many resources there are, if that is known. The cause is empty where nothing failed. Raises
    SatcompError after `timeout` seconds.
    """
    operation = _Operation(seen if seen is not None else _before_this(aws, stack_id), resources)

    def late() -> SatcompError:
        return SatcompError(
            f"CloudFormation was not done after {duration(timeout)}; it goes on by itself.",
            "Type the same command again to go on watching.",
        )

    def look() -> tuple[Stack | None, list[Any]]:
        stack = describe(aws, stack_id)  # before the events: so none is missed of a stack that is found to be done
        return stack, operation.new(_events(aws, stack_id)) if stack else []

    for stack, events in wait.looks(look, timeout, late):
        if stack is None:
            raise SatcompError(f"Stack {stack_id} is gone, and CloudFormation doesn't know it any more.")
        for event in events:
            is_news = operation.note(event)
            # A person sees at the bottom how far it is; a log gets a line for each event.
            if is_news and (_is_remarkable(event) or not wait.console.interactive):
                wait.event(f"{operation.progress:>6}  {_line(event)}")
        wait.draw(operation.status, operation.done)
        if stack.state is not State.BUSY:
            return stack, operation.cause
    raise AssertionError  # looks() ends by an exception alone


def settle(aws: Aws, console: Console, busy: Stack, timeout: float) -> tuple[Stack, str]:
    """Attach to what is being done to a stack, and follow it to its end; returns what follow() does."""
    console.say(f"Project '{busy.project}' is being {busy.doing} at the moment; waiting for that.")
    console.when_interrupted = "AWS goes on with it; type the same command again to go on watching."
    with console.waiting("Watching what AWS does") as wait:
        done, cause = follow(aws, busy.id, wait, timeout=timeout)
    console.when_interrupted = ""
    return done, cause


class _Operation:
    """The events of one operation: which are new, how many resources are done, and what failed first."""

    def __init__(self, seen: set[str], resources: int | None) -> None:
        self._seen = seen
        self._resources = resources
        self._done: set[str] = set()
        self._under_way: dict[str, None] = {}
        self.cause = ""

    @property
    def done(self) -> int:
        return len(self._done)

    @property
    def progress(self) -> str:
        return f"{self.done}/{self._resources}" if self._resources else str(self.done)

    @property
    def status(self) -> str:
        """How far it is, in less than half of a terminal's line."""
        names = list(self._under_way)
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"{self.progress} done{f'; {names[0]}{more}' if names else ''}"

    def new(self, newest_first: Iterable[Any]) -> list[Any]:
        """The events not seen before, oldest first."""
        fresh: dict[str, Any] = {}
        for event in newest_first:
            if event["EventId"] in self._seen:
                break
            fresh[event["EventId"]] = event  # pages shift when events come in between: some are then on two
        self._seen.update(fresh)
        return [*fresh.values()][::-1]

    def note(self, event: Any) -> bool:
        """Take an event into account. False where it says only once more that something is under way."""
        name, status, reason = (
            event["LogicalResourceId"],
            event["ResourceStatus"],
            event.get("ResourceStatusReason", ""),
        )
        of_the_stack = _is_of_the_stack(event)
        if of_the_stack and "ROLLBACK" in status:  # what was done is undone from here on
            self._done.clear()
        # «Resource creation cancelled» is said of everything else that was under way when the first one failed.
        if status.endswith("_FAILED") and not self.cause and "cancelled" not in reason:
            what = "the stack" if of_the_stack else f"{name} ({event['ResourceType']})"
            self.cause = f"{what}: {reason.rstrip('.') or status}"
        if of_the_stack:
            return True
        if status.endswith("_IN_PROGRESS"):
            known = name in self._under_way
            self._under_way[name] = None
            return not known
        self._under_way.pop(name, None)
        if status.endswith("_COMPLETE"):
            self._done.add(name)
        return True


def _is_of_the_stack(event: Any) -> bool:
    return bool(event["PhysicalResourceId"] == event["StackId"])


def _is_remarkable(event: Any) -> bool:
    return _is_of_the_stack(event) or event["ResourceStatus"].endswith("_FAILED")


def _line(event: Any) -> str:
    reason = event.get("ResourceStatusReason", "")
    words = event["ResourceStatus"].replace("_", " ").lower()
    return f"{words:<18}  {event['LogicalResourceId']}{f'  {reason}' if reason else ''}"


def _events(aws: Aws, stack_id: str) -> Iterable[Any]:
    """Events, newest first, page by page as they are asked for."""
    for page in aws.cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id):
        yield from page["StackEvents"]


def _before_this(aws: Aws, stack_id: str) -> set[str]:
    """The ids of the events before the operation that is under way or came last."""
    events = list(_events(aws, stack_id))
    for index, event in enumerate(events):
        begun = event["ResourceStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
        if begun and _is_of_the_stack(event):
            return {earlier["EventId"] for earlier in events[index + 1 :]}
    return set()
