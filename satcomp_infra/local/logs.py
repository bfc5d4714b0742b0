"""What nodes print, delivered to CloudWatch Logs a moment later."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.models import logs_backends

from .settings import ACCOUNT

_PERIOD = 0.2
_BATCH = 1 << 20
"""Bytes read of one node at a time."""
_EVENT_LIMIT = 1 << 18
"""Bytes of one event; CloudWatch Logs cuts longer lines, too (service quotas)."""
_KEPT = 50_000
"""Events delivered of one node, moto keeps all of them in memory; the file has the rest."""


@dataclass
class _Follower:
    file: BinaryIO
    region: str
    group: str
    stream: str
    rest: bytes = b""
    delivered: int = 0
    finished: bool = False


@dataclass
class NodeLogs:
    """Follows files, line by line. `lock` guards moto's own state of the logs."""

    lock: threading.Lock
    _followers: dict[Path, _Follower] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stopped: bool = False
    _thread: threading.Thread | None = None

    def follow(self, path: Path, region: str, group: str, stream: str) -> None:
        """Deliver what is written to a file from now on."""
        try:
            with self.lock:
                logs_backends[ACCOUNT][region].create_log_stream(group, stream)
        except ResourceNotFoundException:  # no such group: the container runs, and nobody reads what it prints
            logging.getLogger(__name__).warning("There is no log group %s.", group)
            return
        with self._changed:
            self._followers[path] = _Follower(path.open("rb"), region, group, stream)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def finish(self, path: Path) -> None:
        """Nothing more is written to this file: deliver what there is, and close it."""
        with self._changed:
            if path in self._followers:
                self._followers[path].finished = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Stop following; what was written last may not be delivered."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._followers)
                if self._stopped:
                    return
                self._changed.wait(_PERIOD)
                followers = list(self._followers.items())
            for path, follower in followers:
                finished = follower.finished  # before reading: what is written until then is read
                self._deliver(follower, last=finished)
                if finished:
                    follower.file.close()
                    with self._changed:
                        del self._followers[path]

    def _deliver(self, follower: _Follower, *, last: bool) -> None:
        while True:
            text = follower.file.read(_BATCH)
            *lines, follower.rest = (follower.rest + text).split(b"\n")
            if (last and len(text) < _BATCH) or len(follower.rest) > _EVENT_LIMIT:
                lines.append(follower.rest)
                follower.rest = b""
            stamp = int(time.time() * 1000)
            events = [
                {"timestamp": stamp, "message": line[:_EVENT_LIMIT].decode(errors="replace")} for line in lines if line
            ][: _KEPT - follower.delivered]
            follower.delivered += len(events)
            if events:
                try:
                    with self.lock:
                        logs_backends[ACCOUNT][follower.region].put_log_events(follower.group, follower.stream, events)
                except ResourceNotFoundException:  # the group was deleted while the node still ran
                    follower.delivered = _KEPT
            if len(text) < _BATCH:
                return
