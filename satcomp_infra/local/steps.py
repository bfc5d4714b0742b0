"""Faults at a known step: what happens to a node, or to its call, in the middle of a call that it makes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from . import killing
from .calls import Answer, Call, failed
from .environment import ACCESS_KEY
from .faults import Action, CallFault, StepFault, When

if TYPE_CHECKING:
    from .gaps_sqs import Queues
    from .history import History
    from .tasks import ServiceTask, Tasks
    from .world import World

StartResponse = Callable[..., Any]
_KEY = re.compile(rf"Credential={re.escape(ACCESS_KEY)}[.]([\w-]+)/")
_DEADLY = (Action.KILL, Action.CUT_POWER)


class Steps:
    """Lets calls of nodes meet their faults, and notes what they store."""

    def __init__(self, world: World, tasks: Tasks, queues: Queues, history: History) -> None:
        self._world = world
        self._tasks = tasks
        self._queues = queues
        self._history = history
        self._lock = threading.Lock()
        self._armed: tuple[StepFault, ...] = ()
        self._used: Counter[StepFault] = Counter()

    def answer(
        self,
        call: Call,
        environ: Mapping[str, Any],
        body: bytes,
        ask: Callable[[StartResponse], Iterable[bytes]],
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        """Answer a call by asking for its answer, with all that happens on the way."""
        node = caller(environ)
        if not node:
            return ask(start_response)
        step = _Step(node, call, target(call, environ, body))
        for fault in self._met(step, When.BEFORE):
            if self._happen(fault, node):
                return hang_up(environ, start_response)
            if fault.action is Action.FAIL:
                return send(failed(call, CallFault(failure=fault.failure)), start_response)
        started: list[tuple[Any, ...]] = []
        content = b"".join(ask(lambda *args: started.append(args)))
        if call.name == "s3.PutObject" and str(started[0][0]).startswith("200"):
            self._history.note("stored", node, step.target)
        for fault in self._met(step, When.AFTER):
            if self._happen(fault, node):
                return hang_up(environ, start_response)
        start_response(*started[0])
        if during := self._met(step, When.DURING):
            return self._in_halves(content, during, node, environ)
        return [content]

    def _in_halves(
        self, content: bytes, faults: list[StepFault], node: str, environ: Mapping[str, Any]
    ) -> Iterator[bytes]:
        half = len(content) // 2
        yield content[:half]
        for fault in faults:
            if self._happen(fault, node):
                hang_up(environ, lambda *_: None)
        yield content[half:]

    def _met(self, step: _Step, when: When) -> list[StepFault]:
        """The faults that a call meets now, each counted."""
        faults = self._world.faults.steps
        if not faults:
            return []
        received = self._queues.received.get(step.node)
        job = received.message.body if received else ""
        return [
            fault
            for fault in faults
            if fault.when is when
            and fnmatchcase(step.call.name, fault.call)
            and fnmatchcase(job, fault.job)
            and fnmatchcase(step.target, fault.target)
            and self._has_role(step.node, fault.role)
            and self._counted(fault, faults)
        ]

    def _counted(self, fault: StepFault, faults: tuple[StepFault, ...]) -> bool:
        with self._lock:
            if faults is not self._armed:
                self._armed = faults
                self._used.clear()
            if fault.times is not None and self._used[fault] >= fault.times:
                return False
            self._used[fault] += 1
        return True

    def _has_role(self, node: str, role: str) -> bool:
        with self._world.lock:
            return any(task.id == node and fnmatchcase(task.role, role) for task in self._tasks.live)

    def _happen(self, fault: StepFault, node: str) -> bool:
        """Let it happen; return whether that is the end of the caller's connection."""
        received = self._queues.received.get(node)
        self._history.note(fault.action, node, received.message.id if received else "")
        if fault.action is Action.HANG:
            time.sleep(fault.seconds)
        elif fault.action is Action.DELIVER_AGAIN:
            self._queues.deliver_again(node)
        elif fault.action not in (Action.DISCONNECT, Action.FAIL):
            with self._world.lock:
                victim = self._victim(fault, node)
                if victim:
                    self._strike(victim, fault)
            self._world.scheduler.wake()
            return fault.action in _DEADLY and victim is not None and victim.id == node
        return fault.action is Action.DISCONNECT

    def _victim(self, fault: StepFault, node: str) -> ServiceTask | None:
        running = [task for task in self._tasks.live if task.node and task.is_wanted]
        wanted = (task for task in running if (task.role == fault.victim if fault.victim else task.id == node))
        return next(wanted, None)

    def _strike(self, task: ServiceTask, fault: StepFault) -> None:
        assert task.node is not None
        if fault.action is Action.TERMINATE:
            self._tasks.stop(task, time.monotonic(), "Task stopped on request", "UserInitiated")
        elif fault.action in _DEADLY:
            task.node.kill()
            if fault.action is Action.CUT_POWER:
                task.machine.instance.terminate()
        elif task.node.pid:
            mark = f"{self._world.mark_prefix}{task.id}"
            pids = [task.node.pid] if fault.action is Action.FREEZE else killing.by_mark(mark).get(mark, [])
            _signal(pids, signal.SIGSTOP)
            thaw = threading.Timer(fault.seconds, _signal, (pids, signal.SIGCONT))
            thaw.daemon = True
            thaw.start()


@dataclass(frozen=True)
class _Step:
    """A call that a node makes."""

    node: str
    call: Call
    target: str


def caller(environ: Mapping[str, Any]) -> str:
    """The node (its task's id) that signed a request; empty for all others."""
    match = _KEY.search(environ.get("HTTP_AUTHORIZATION", ""))
    return match[1] if match else ""


def target(call: Call, environ: Mapping[str, Any], body: bytes) -> str:
    """What a call is for: S3's `bucket/key`, the name of the queue or the table; empty for other services."""
    if call.service == "s3":
        return str(environ["PATH_INFO"]).lstrip("/")
    if call.protocol != "json":
        return ""
    request = json.loads(body or b"{}")
    return str(request.get("TableName") or request.get("QueueUrl", "")).rpartition("/")[2]


def send(answer: Answer, start_response: StartResponse) -> list[bytes]:
    """Answer a request as WSGI does."""
    start_response(answer.status_line, list(answer.headers))
    return [answer.body]


def hang_up(environ: Mapping[str, Any], start_response: StartResponse) -> list[bytes]:
    """Close a request's connection instead of answering."""
    with suppress(OSError):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    start_response("500 Internal Server Error", [])
    return []


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
