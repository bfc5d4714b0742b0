"""The local cloud's own endpoint, below /local-cloud/: what AWS has no call for."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..errors import SatcompError, UsageError
from .calls import Answer

if TYPE_CHECKING:
    from .history import History
    from .tasks import ServiceTask, Tasks
    from .world import World

PATH = "/local-cloud/"


class Control:
    """Answers requests for the cloud itself. `counted` are the calls so far, by name."""

    def __init__(self, world: World, tasks: Tasks, history: History) -> None:
        self._world = world
        self._tasks = tasks
        self._history = history
        self.counted: Counter[str] = Counter()

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """The answer to a request: JSON, with `error` in it where something is wrong."""
        try:
            value = self._value(method, path.removeprefix(PATH), json.loads(body or b"{}"))
        except SatcompError as error:
            return _json(400, {"error": error.message, "advice": error.advice})
        except (ValueError, TypeError, KeyError) as error:
            return _json(400, {"error": f"This request can't be understood: {error!r}", "advice": ""})
        return _json(200, value)

    def _value(self, method: str, name: str, body: dict[str, Any]) -> Any:
        with self._world.lock:
            if (method, name) == ("GET", "calls"):
                return dict(self.counted)
            if (method, name) == ("DELETE", "calls"):
                self.counted.clear()
                return {}
            if (method, name) == ("GET", "history"):
                return self._history.as_json()
            if (method, name) == ("GET", "nodes"):
                return [_node(task) for task in self._tasks.live if task.node]
            if (method, name) == ("POST", "faults"):
                self._world.set_faults(self._world.faults.changed(body))
                return {}
            if (method, name) == ("POST", "kill"):
                return self._kill(**body)
        raise UsageError(f"There is nothing to {method} at {name}.")

    def _kill(self, role: str, index: int = 0, machine: bool = False) -> Any:
        """End a node's process, or the machine that it is on, as if it had failed."""
        running = [task for task in self._tasks.live if task.role == role and task.node and task.is_wanted]
        if index >= len(running):
            raise UsageError(f"There is no {role} number {index}: {len(running)} of them run.")
        task = running[index]
        assert task.node is not None
        shown = _node(task)
        if machine:
            task.machine.instance.terminate()
        else:
            task.node.kill()
        self._world.scheduler.wake()
        return shown


def _node(task: ServiceTask) -> dict[str, Any]:
    assert task.node is not None
    output = task.node.output
    return {
        "task": task.id,
        "role": task.role,
        "pid": task.node.pid,
        "address": task.machine.address,
        "instance": task.machine.id,
        "zone": task.machine.zone,
        "output": str(output) if output else "",
        "status": task.status,
    }


def _json(status: int, value: Any) -> Answer:
    body = json.dumps(value).encode()
    return Answer(status, (("Content-Type", "application/json"), ("Content-Length", str(len(body)))), body)
