"""update-solver-infrastructure: switch a project between the tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import cli, stack, template
from ..causes import advice
from ..command_line import Example, Parser
from ..errors import Exit, SatcompError
from ..finding import find
from ..fleet import Cluster
from ..stack import State
from ..stack_events import events_so_far, follow, settle
from ..tracks import TRACKS
from ..units import count, duration
from .create import TIMEOUT, add_track

if TYPE_CHECKING:
    import argparse

    from ..aws import Aws
    from ..progress import Console
    from ..stack import Infrastructure
    from ..tracks import Track


def parser() -> Parser:
    """The command's arguments."""
    parser = Parser(
        "update-solver-infrastructure",
        "Switch a project's infrastructure to the other track.",
        usage=["--project PROJECT_NAME\n--solver-type {cloud,parallel} [options]"],
        notes="No machine may be running meanwhile: stop them first (./update_instances --option shutdown). Files and "
        "images stay.",
        examples=[
            Example(
                "switch to the parallel track: single machines of 64 vCPU",
                "./update-solver-infrastructure --project my-solver --solver-type parallel",
            ),
            Example(
                "only see what a switch to the cloud track would change",
                "./update-solver-infrastructure --project my-solver \\\n    --solver-type cloud --dry-run",
            ),
        ],
        exit_codes={
            0: "the project is set up for that track (or was already); with --dry-run, it was shown",
            1: "it could not be switched, or not within --timeout; machines that are running are a reason",
            130: "ended by Ctrl-C; AWS goes on with what was begun",
        },
    )
    what = parser.add_argument_group("what to change")
    cli.add_project(what, required=True)
    add_track(what)
    what.add_argument("--dry-run", action="store_true", help="show what would be changed, then stop")
    cli.add_timeout(parser.add_argument_group("waiting"), TIMEOUT)
    cli.add_aws_options(parser, project=False)
    cli.add_output_options(parser)
    return parser


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Update the stack, unless it has the track already or machines run."""
    aws, project, track = cli.connect(args), args.project, TRACKS[args.solver_type]
    current = stack.describe(aws, project.stack)
    if current and current.state is State.BUSY and current.project == project.name:
        settle(aws, console, current, args.timeout)
    infrastructure = find(aws, project)
    if infrastructure.track == track:
        console.result(f"Project '{project.name}' is set up for the {track.name} track already. Nothing to do.")
        return Exit.OK
    _check_idle(aws, infrastructure)
    body = template.render(project, track, infrastructure.zones)
    if args.dry_run:
        return _show_changes(aws, infrastructure, body, console)
    return _switch(aws, infrastructure, track, body, args.timeout, console)


def _check_idle(aws: Aws, infrastructure: Infrastructure) -> None:
    running = Cluster.of(aws, infrastructure).instances()
    if running:
        raise SatcompError(
            f"Project '{infrastructure.project}' still runs {count(len(running), 'machine')} of the "
            f"{infrastructure.track.name} track; a switch would stop whatever is being solved there.",
            "Stop them first:\n./update_instances --option shutdown",
        )


def _show_changes(aws: Aws, infrastructure: Infrastructure, body: str, console: Console) -> Exit:
    console.result(f"This would change in stack {infrastructure.stack}:")
    for change in stack.changes(aws, infrastructure.stack, body):
        console.result(f"  {change.action:<8}{change.resource:<26}{change.kind}")
    console.result("Nothing was changed. For that, type the same without --dry-run.")
    return Exit.OK


def _switch(
    aws: Aws, infrastructure: Infrastructure, track: Track, body: str, timeout: float, console: Console
) -> Exit:
    current = stack.describe(aws, infrastructure.stack)
    if current is None:
        raise SatcompError(f"Project '{infrastructure.project}' has just been deleted.")
    seen = events_so_far(aws, current.id)
    console.say(
        f"Switching project '{infrastructure.project}' to the {track.name} track.\n"
        f"This takes 1 to 2 min; the command waits for at most {duration(timeout)}."
    )
    if not stack.update(aws, current, body):
        console.result("AWS finds nothing to change.")
        return Exit.OK
    console.when_interrupted = "AWS goes on with the switch. Type the same command again to go on watching."
    with console.waiting("Switching") as wait:
        done, cause = follow(aws, current.id, wait, timeout=timeout, seen=seen)
        elapsed = wait.elapsed
    if done.status not in ("UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"):
        failure = cause or done.reason or done.status
        back = " and put it back as it was" if done.state is State.READY else ""
        raise SatcompError(
            f"AWS couldn't switch the infrastructure{back}. What failed first was {failure}.", advice(failure)
        )
    console.when_interrupted = ""
    workers = 1 if track.has_workers else 0
    console.result(
        f"Switched to the {track.name} track in {duration(elapsed)}: machines will be {track.instance_type}, "
        f"{track.vcpus} vCPU, {track.machine_memory // 1024} GiB.\n"
        f"Start them, which costs money from then on:\n./update_instances --option setup --workers {workers}"
    )
    return Exit.OK
