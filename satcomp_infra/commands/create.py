"""create-solver-infrastructure: everything that a solver needs in AWS, as one CloudFormation stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import cli, plan, stack, storage
from ..aws import together
from ..causes import advice
from ..command_line import Example, Parser
from ..errors import Exit, SatcompError
from ..project import TEST_PROBLEM
from ..stack import State
from ..stack_events import follow, settle
from ..tracks import TRACKS
from ..units import duration

if TYPE_CHECKING:
    import argparse
    from argparse import _ArgumentGroup as Group

    from ..aws import Aws
    from ..progress import Console
    from ..project import Project
    from ..stack import Infrastructure, Stack
    from ..tracks import Track

TIMEOUT = "30m"
"""Creating takes 3 to 5 minutes; the file system's mount targets take longest."""


def parser() -> Parser:
    """The command's arguments."""
    parser = Parser(
        "create-solver-infrastructure",
        "Create a project's infrastructure in AWS: all that its machines will need.",
        usage=["--project PROJECT_NAME\n--solver-type {cloud,parallel} [options]"],
        notes="It costs nothing per hour until you start machines (./update_instances). An account has one project "
        "per region.",
        examples=[
            Example(
                "for the cloud track: a leader and as many workers as you like",
                "./create-solver-infrastructure --project my-solver --solver-type cloud",
            ),
            Example(
                "only see what would be created, in Frankfurt, and what it would cost",
                "./create-solver-infrastructure --project team/solver_1 \\\n"
                "    --solver-type parallel --region eu-central-1 --dry-run",
            ),
        ],
        exit_codes={
            0: "the infrastructure is there and complete (or was already); with --dry-run, it was shown",
            1: "it could not be created, or was not complete within --timeout",
            130: "ended by Ctrl-C; AWS goes on with what was begun",
        },
    )
    what = parser.add_argument_group("what to create")
    cli.add_project(
        what,
        required=True,
        text="the project's name, which you choose: a letter, then lowercase letters, digits, '-', '_' and '/'",
    )
    add_track(what)
    what.add_argument("--dry-run", action="store_true", help="show what would be created and its cost, then stop")
    cli.add_timeout(parser.add_argument_group("waiting"), TIMEOUT)
    cli.add_aws_options(parser, project=False)
    cli.add_output_options(parser)
    return parser


def add_track(group: Group) -> None:
    """Add --solver-type."""
    machines = "; ".join(f"{track.name}: {track.instance_type}, {track.vcpus} vCPU" for track in TRACKS.values())
    group.add_argument(
        "--solver-type", required=True, choices=TRACKS, help=f"the track, which says what a machine is ({machines})"
    )


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Create the stack, or attach to its creation, and upload the first problem."""
    aws, project, track = cli.connect(args), args.project, TRACKS[args.solver_type]
    project.names("0" * 12, aws.region)  # whether it fits into the region's names can be said before the first call
    project.names(aws.account, aws.region)
    existing, what = together(lambda: _existing(aws, project), lambda: plan.make(aws, project, track))
    if args.dry_run:
        return _show(what, existing, track, console)
    if existing and existing.state is State.BUSY:
        existing = _attach(aws, existing, args.timeout, console)
    if existing and existing.state is State.READY:
        infrastructure = stack.Infrastructure.of(existing)
        _check_track(infrastructure, track)
        storage.provide_test_problem(aws, infrastructure.bucket)  # an earlier run may have ended just before it
        console.result(f"Project '{project.name}' exists and is complete, for the {track.name} track.")
        _next_steps(infrastructure, console)
        return Exit.OK
    if existing:
        _remove_failed_attempt(aws, existing, args.timeout, console)
    infrastructure = _create(aws, what, args.timeout, console)
    storage.provide_test_problem(aws, infrastructure.bucket)
    console.result(
        f"\nProject '{project.name}' is ready, for the {track.name} track. It costs nothing per hour until you start "
        "machines."
    )
    _next_steps(infrastructure, console)
    return Exit.OK


def _existing(aws: Aws, project: Project) -> Stack | None:
    """The project's stack. Raises SatcompError where the region has another project."""
    stacks = stack.projects(aws)
    for other in stacks:
        if other.project != project.name:
            raise SatcompError(
                f"Region {aws.region} of this account has project '{other.project}' already, and has room for one: "
                "queues and cluster have the same names in every project.",
                "Use that one, name another region with --region, or delete it:\n"
                f"./delete-solver-infrastructure --project {other.project}",
            )
    return stacks[0] if stacks else None


def _show(what: plan.Plan, existing: Stack | None, track: Track, console: Console) -> Exit:
    if existing and existing.state is State.READY:
        _check_track(stack.Infrastructure.of(existing), track)
    console.result(f"This would be created:\n{what}" if existing is None else f"This is what there is:\n{what}")
    if what.warning:
        console.say(f"Warning: {what.warning}")
    if existing:
        console.result(f"Project '{existing.project}' is there already ({existing.status}). Nothing was changed.")
    else:
        console.result("Nothing was created. For that, type the same without --dry-run.")
    return Exit.OK


def _attach(aws: Aws, existing: Stack, timeout: float, console: Console) -> Stack | None:
    """Follow what is being done to the stack; None if it is gone then. Raises SatcompError where a creation fails."""
    done, cause = settle(aws, console, existing, timeout)
    if existing.status in ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS") and done.state is not State.READY:
        raise _failed(done, cause)
    return None if done.state is State.ABSENT else done


def _failed(done: Stack, cause: str) -> SatcompError:
    failure = cause or done.reason or done.status
    return SatcompError(f"AWS couldn't create the infrastructure. What failed first was {failure}.", advice(failure))


def _check_track(infrastructure: Infrastructure, track: Track) -> None:
    if infrastructure.track != track:
        project = infrastructure.project
        raise SatcompError(
            f"Project '{project}' exists already, for the {infrastructure.track.name} track.",
            f"Switch it:\n./update-solver-infrastructure --project {project} --solver-type {track.name}",
        )


def _remove_failed_attempt(aws: Aws, existing: Stack, timeout: float, console: Console) -> None:
    if existing.status != "ROLLBACK_COMPLETE":  # that one alone is sure to hold nothing any more
        raise SatcompError(
            f"Project '{existing.project}' is there but not complete ({existing.status}).",
            f"Remove what is there, then create it again:\n./delete-solver-infrastructure --project {existing.project}",
        )
    console.say("An earlier attempt failed and was rolled back: removing its empty stack first.")
    aws.cloudformation.delete_stack(StackName=existing.id)
    with console.waiting("Removing") as wait:
        follow(aws, existing.id, wait, timeout=timeout)


def _create(aws: Aws, what: plan.Plan, timeout: float, console: Console) -> Infrastructure:
    console.say(f"Creating:\n{what}")
    if what.warning:
        console.say(f"Warning: {what.warning}")
    console.say(f"This takes 3 to 5 min; the command waits for at most {duration(timeout)}.")
    stack_id = stack.create(aws, what.names, what.body)
    console.when_interrupted = (
        "AWS goes on creating the infrastructure (which costs nothing per hour). "
        "Type the same command again to go on watching."
    )
    with console.waiting("Creating", what.resources) as wait:
        done, cause = follow(aws, stack_id, wait, timeout=timeout, seen=set(), resources=what.resources)
        elapsed = wait.elapsed
    if done.state is not State.READY:
        raise _failed(done, cause)
    console.when_interrupted = ""
    console.say(f"Created in {duration(elapsed)}.")
    return stack.Infrastructure.of(done)


def _next_steps(infrastructure: Infrastructure, console: Console) -> None:
    project, has_workers = infrastructure.project, infrastructure.track.has_workers
    worker = " --worker WORKER_IMAGE" if has_workers else ""
    number = "--workers 1" if has_workers else "--workers 0"
    problem = f"s3://{infrastructure.bucket}/{TEST_PROBLEM}"
    console.result(
        f"""
  repository      {infrastructure.repository_uri}
  bucket          s3://{infrastructure.bucket}

Next:
  1. Push your solver's images:
     ./push-ecr --project {project} --leader LEADER_IMAGE{worker}
  2. Start the machines, which cost money from then on:
     ./update_instances --option setup {number}
  3. Solve a first problem:
     ./send_message --location {problem} {number} --await-response
  4. Stop the machines:
     ./update_instances --option shutdown
  5. Remove everything, when you need it no more:
     ./delete-solver-infrastructure --project {project}"""
    )
