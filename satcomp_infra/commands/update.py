"""update-solver-infrastructure: switch a project between the tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import cli, stack, template
from ..causes import advice
from ..errors import Exit, SatcompError
from ..finding import find
from ..fleet import Cluster
from ..progress import count, duration
from ..stack import State
from ..stack_events import events_so_far, follow
from ..tracks import TRACKS
from .create import TIMEOUT, add_track

if TYPE_CHECKING:
    import argparse

    from ..progress import Console


def parser() -> cli.Parser:
    """The command's arguments."""
    parser = cli.Parser(
        "update-solver-infrastructure",
        "Switch a project's infrastructure to the other track. No machine may run meanwhile.",
        "  ./update-solver-infrastructure --project my-solver --solver-type parallel\n"
        "  ./update-solver-infrastructure --project my-solver --solver-type cloud",
    )
    cli.add_project(parser, required=True)
    add_track(parser)
    cli.add_timeout(parser, TIMEOUT)
    cli.add_aws_options(parser)
    return parser


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Update the stack, unless it has the track already or machines run."""
    aws, project, track = cli.connect(args), args.project, TRACKS[args.solver_type]
    infrastructure = find(aws, project)
    if infrastructure.track == track:
        console.result(f"Project '{project.name}' is set up for the {track.name} track already. Nothing to do.")
        return Exit.OK
    running = Cluster.of(aws, infrastructure).instances()
    if running:
        raise SatcompError(
            f"Project '{project.name}' still runs {count(len(running), 'machine')} of the "
            f"{infrastructure.track.name} track; a switch would stop whatever is being solved there.",
            "Stop them first: ./update_instances --option shutdown",
        )
    current = stack.describe(aws, project.stack)
    if current is None:
        raise SatcompError(f"Project '{project.name}' has just been deleted.")
    seen = events_so_far(aws, current.id)
    console.say(f"Switching project '{project.name}' to the {track.name} track. This takes 1 to 2 minutes.")
    if not stack.update(aws, current, template.render(project, track, infrastructure.zones)):
        console.result("AWS finds nothing to change.")
        return Exit.OK
    console.when_interrupted = "AWS goes on with the switch; type the same command again to see how it ended."
    with console.waiting("Updating") as wait:
        done, cause = follow(aws, current.id, wait, timeout=args.timeout, seen=seen)
        elapsed = wait.elapsed
    if done.state is not State.READY or done.status == "UPDATE_ROLLBACK_COMPLETE":
        went_back = done.state is State.READY
        failure = cause or done.reason or done.status
        raise SatcompError(
            f"AWS couldn't switch the infrastructure{' and put it back as it was' if went_back else ''}. "
            f"What failed first was {failure}.",
            advice(failure),
        )
    console.result(
        f"Switched to the {track.name} track in {duration(elapsed)}: nodes will be {track.instance_type}, "
        f"{track.vcpus} vCPU, {track.machine_memory // 1024} GiB."
    )
    return Exit.OK
