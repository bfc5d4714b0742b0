"""Doing several things at a time, without ever keeping a node that is to end from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def background(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Call the function in a thread of its own.

    The thread is a daemon: an executor's threads are joined at exit, and one that waits for a dead connection would
    then hold up the node's end for as long as the connection's timeouts.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            result = function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - handed on to whoever asks for the result
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=work, name=getattr(function, "__name__", "background"), daemon=True).start()
    return future


def all_done(*futures: Future[Any]) -> None:
    """Wait until all are done, however they went; then raise the first one's error, if any has one."""
    wait(futures)
    for future in futures:
        future.result()
