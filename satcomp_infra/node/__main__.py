"""Start a node: `python -m satcomp_infra.node leader|worker`, in the container that the task definition describes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..errors import Exit, SatcompError
from . import log
from .background import background
from .context import Context
from .identity import find_identity
from .settings import Settings, Timing
from .stop import Stop, Stopped, stop_on_signals

_TIMING = Timing()


def main(arguments: Sequence[str] | None = None, timing: Timing = _TIMING) -> int:
    """Run a node until it is asked to stop; return its exit code. What ends it otherwise is one line of the log."""
    parser = argparse.ArgumentParser(prog="python -m satcomp_infra.node", description="Run a node of the cluster.")
    parser.add_argument("role", choices=("leader", "worker"))
    role = parser.parse_args(arguments).role
    try:
        log.set_up(role, os.environ.get(log.FORMAT_VARIABLE, ""))
        _run(role, timing)
    except Stopped:
        pass
    except SatcompError as error:
        log.LOG.error("%s", error)
        return Exit.FAILURE
    log.LOG.info("stopped")
    return Exit.OK


def _run(role: str, timing: Timing) -> None:
    settings = Settings.from_environment(os.environ)
    stop = Stop()
    stop_on_signals(stop)
    identity = background(find_identity, os.environ)  # while botocore is imported and the clients are made
    from .aws import AwsError, LeaderClients, WorkerClients, in_words

    try:
        if role == "leader":
            from .leader import Leader

            clients = LeaderClients.connect(settings)
            Leader(Context(settings, stop.result(identity), os.environ, stop, timing), clients).run()
        else:
            from .worker import Worker

            worker_clients = WorkerClients.connect()
            Worker(Context(settings, stop.result(identity), os.environ, stop, timing), worker_clients).run()
    except AwsError as error:
        raise SatcompError(f"The node can't work: {in_words(error)}") from error


if __name__ == "__main__":
    sys.exit(main())
