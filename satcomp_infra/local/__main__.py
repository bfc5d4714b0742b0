"""`python -m satcomp_infra.local serve`: a local cloud in this process."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from ..errors import Exit, SatcompError, UsageError
from . import packages
from .faults import Faults
from .settings import DEFAULT_REGION, SAMPLE_SOLVER, Settings


def parser() -> argparse.ArgumentParser:
    """The arguments. Times are in seconds."""
    parser = argparse.ArgumentParser(prog="python -m satcomp_infra.local", description=__doc__)
    serve = parser.add_subparsers(required=True, metavar="serve").add_parser("serve", help="start a local cloud")
    region = os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    settings = Settings(Path())
    serve.add_argument("--port", type=int, default=0, help="0, the default: any that is free")
    serve.add_argument("--region", default=region, help="default: %(default)s")
    serve.add_argument("--state-dir", type=Path, help="kept afterwards; default: a temporary one, which is removed")
    serve.add_argument("--solver", type=Path, default=SAMPLE_SOLVER, metavar="DIR", help="scripts that nodes run")
    serve.add_argument("--zones", nargs="+", default=(), metavar="ZONE", help="only these have machines")
    serve.add_argument("--boot-delay", type=float, default=settings.boot_seconds, metavar="S")
    serve.add_argument("--shutdown-delay", type=float, default=settings.shutdown_seconds, metavar="S")
    serve.add_argument("--stop-delay", type=float, metavar="S", help="from SIGTERM to SIGKILL, whatever tasks say")
    serve.add_argument("--stack-delay", type=float, default=settings.stack_seconds, metavar="S")
    serve.add_argument("--retry-delay", type=float, default=settings.retry_seconds, metavar="S")
    serve.add_argument("--node-command", type=json.loads, metavar="JSON", help="list of words; the role is added")
    serve.add_argument("--simulate-nodes", action="store_true", help="run no processes")
    serve.add_argument("--images", type=json.loads, default={}, metavar="JSON", help="an object: local image by role")
    serve.add_argument("--container-memory", type=int, default=0, metavar="MIB", help="of each container; 0: no limit")
    serve.add_argument("--faults", action="append", type=json.loads, default=[], metavar="JSON", help="an object")
    serve.add_argument(
        "--stop-with-parent",
        nargs="?",
        type=int,
        const=os.getppid(),
        metavar="PID",
        help="stop when the process that started this one is gone",
    )
    return parser


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    started = time.monotonic()
    args = parser().parse_args()
    temporary = args.state_dir is None
    state_dir = Path(tempfile.mkdtemp(prefix="satcomp-local-cloud-")) if temporary else args.state_dir.resolve()
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        _serve(args, state_dir, temporary=temporary, started=started)
    except SatcompError as error:
        return _tell(error, to_program=args.stop_with_parent is not None)
    except ImportError as error:
        if (error.name or "").partition(".")[0] == __package__.partition(".")[0]:
            raise
        return _tell(packages.unusable(error), to_program=args.stop_with_parent is not None)
    finally:
        if temporary:
            shutil.rmtree(state_dir, ignore_errors=True)
    return Exit.OK


def _tell(error: SatcompError, *, to_program: bool) -> int:
    """Say why there is no local cloud: to a person, or on a line of JSON to the program that reads readiness there."""
    if to_program:
        said = {"error": error.message, "advice": error.advice, "traceback": traceback.format_exc()}
        print(json.dumps(said), flush=True)
    else:
        print(error, file=sys.stderr)
    return error.exit_code


def _serve(args: argparse.Namespace, state_dir: Path, *, temporary: bool, started: float) -> None:
    packages.check()
    from .serving import serve

    if args.solver != SAMPLE_SOLVER and not args.solver.is_dir():
        raise UsageError(f"--solver {args.solver}: there is no such directory.")
    settings = Settings(
        state_dir=state_dir,
        region=args.region,
        solver_dir=args.solver.resolve(),
        zones=tuple(args.zones),
        boot_seconds=args.boot_delay,
        shutdown_seconds=args.shutdown_delay,
        stop_seconds=args.stop_delay,
        stack_seconds=args.stack_delay,
        retry_seconds=args.retry_delay,
        simulate_nodes=args.simulate_nodes,
        images=args.images,
        container_memory=args.container_memory,
    )
    if args.node_command:
        settings = dataclasses.replace(settings, node_command=tuple(args.node_command))
    faults = Faults()
    for changes in args.faults:
        faults = faults.changed(changes)
    serve(settings, faults, args.port, parent=args.stop_with_parent, temporary=temporary, started=started)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # nothing is left to be done; taking moto's million objects apart would need a second
