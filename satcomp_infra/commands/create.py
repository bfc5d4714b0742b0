"""create-solver-infrastructure: everything that a solver needs in AWS, as one CloudFormation stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import cli, stack, storage, template
from ..causes import advice
from ..errors import Exit, SatcompError
from ..progress import duration
from ..project import TEST_PROBLEM
from ..stack import State
from ..stack_events import follow
from ..tracks import TRACKS

if TYPE_CHECKING:
    import argparse

    from ..aws import Aws
    from ..progress import Console
    from ..project import Project
    from ..stack import Infrastructure, Stack
    from ..tracks import Track

TIMEOUT_SECONDS = 30 * 60
"""Creating takes 3 to 5 minutes; the file system's mount targets take longest."""


def parser() -> cli.Parser:
    """The command's arguments."""
    parser = cli.Parser(
        "create-solver-infrastructure",
        "Create a project's infrastructure in AWS. It costs nothing per hour until machines are started.",
        "  ./create-solver-infrastructure --project my-solver --solver-type cloud\n"
        "  ./create-solver-infrastructure --project team/solver_1 --solver-type parallel --region eu-central-1",
    )
    cli.add_project(parser, required=True)
    add_track(parser)
    cli.add_aws_options(parser)
    return parser


def add_track(parser: argparse.ArgumentParser) -> None:
    """Add --solver-type."""
    machines = "; ".join(f"{track.name}: {track.instance_type}, {track.vcpus} vCPU" for track in TRACKS.values())
    parser.add_argument("--solver-type", required=True, choices=TRACKS, help=f"the track ({machines})")


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Create the stack, or attach to its creation, and upload the first problem."""
    aws, project, track = cli.connect(args), args.project, TRACKS[args.solver_type]
    project.names("0" * 12, aws.region)  # whether it fits into the region's names can be said before the first call
    project.names(aws.account, aws.region)
    existing = _settled(aws, project, console)
    if existing and existing.state is State.READY:
        infrastructure = stack.Infrastructure.of(existing)
        _check_track(infrastructure, track)
        storage.provide_test_problem(aws, infrastructure.bucket)  # an earlier run may have ended just before it
        console.result(f"Project '{project.name}' exists and is complete, for the {track.name} track.")
        return Exit.OK
    if existing:
        _remove_failed_attempt(aws, existing, console)
    infrastructure = _create(aws, project, track, console)
    storage.provide_test_problem(aws, infrastructure.bucket)
    _next_steps(infrastructure, console)
    return Exit.OK


def _settled(aws: Aws, project: Project, console: Console) -> Stack | None:
    """The project's stack once nothing is being done to it. Raises SatcompError where another project is there."""
    stacks = stack.projects(aws)
    others = [other.project for other in stacks if other.project != project.name]
    if others:
        raise SatcompError(
            f"Region {aws.region} of this account has project '{others[0]}' already, and there is room for one: "
            "queues and cluster have the same names in every project.",
            f"Use that one, delete it (./delete-solver-infrastructure --project {others[0]}), "
            "or name another region with --region.",
        )
    for existing in stacks:
        if existing.state is not State.BUSY:
            return existing
        console.say(f"Project '{project.name}' is being {existing.doing} at the moment; waiting for that.")
        with console.waiting("Following") as wait:
            settled, _ = follow(aws, existing.id, wait, timeout=TIMEOUT_SECONDS)
        return None if settled.state is State.ABSENT else settled
    return None


def _check_track(infrastructure: Infrastructure, track: Track) -> None:
    if infrastructure.track != track:
        project = infrastructure.project
        raise SatcompError(
            f"Project '{project}' exists already, for the {infrastructure.track.name} track.",
            f"Switch it: ./update-solver-infrastructure --project {project} --solver-type {track.name}",
        )


def _remove_failed_attempt(aws: Aws, existing: Stack, console: Console) -> None:
    if existing.status != "ROLLBACK_COMPLETE":  # that one alone is sure to hold nothing any more
        raise SatcompError(
            f"Project '{existing.project}' is there but not complete ({existing.status}).",
            f"Remove what is there, then create it again: ./delete-solver-infrastructure --project {existing.project}",
        )
    console.say("An earlier attempt failed and was rolled back: removing its empty stack first.")
    aws.cloudformation.delete_stack(StackName=existing.id)
    with console.waiting("Removing") as wait:
        follow(aws, existing.id, wait, timeout=TIMEOUT_SECONDS)


def _create(aws: Aws, project: Project, track: Track, console: Console) -> Infrastructure:
    types = [each.instance_type for each in TRACKS.values()]
    zones = template.zones_offering(aws.ec2, types)
    body = template.render(project, track, zones)
    console.say(
        f"Creating project '{project.name}' for the {track.name} track in {aws.region}, account {aws.account}: "
        f"stack {project.stack}. This takes 3 to 5 minutes."
    )
    stack_id = stack.create(aws, project, body)
    console.when_interrupted = (
        "AWS goes on creating the infrastructure (which costs nothing per hour); "
        "type the same command again to go on watching."
    )
    resources = template.resource_count(body)
    with console.waiting("Creating", resources) as wait:
        done, cause = follow(aws, stack_id, wait, timeout=TIMEOUT_SECONDS, seen=set(), resources=resources)
        elapsed = wait.elapsed
    if done.state is not State.READY:
        failure = cause or done.reason or done.status
        raise SatcompError(f"AWS couldn't create the infrastructure. What failed first was {failure}.", advice(failure))
    console.when_interrupted = ""
    console.say(f"Created in {duration(elapsed)}.")
    return stack.Infrastructure.of(done)


def _next_steps(infrastructure: Infrastructure, console: Console) -> None:
    project, track = infrastructure.project, infrastructure.track
    worker = " --worker WORKER_IMAGE" if track.has_workers else ""
    number = "--workers 1" if track.has_workers else "--workers 0"
    problem = f"s3://{infrastructure.bucket}/{TEST_PROBLEM}"
    console.result(
        f"""
Project '{project}' is ready, for the {track.name} track. It costs nothing per hour until you start machines.

  repository  {infrastructure.repository_uri}
  bucket      s3://{infrastructure.bucket}

Next:
  1. Push your solver:     ./push-ecr --project {project} --leader LEADER_IMAGE{worker}
  2. Start the machines:   ./update_instances --option setup {number}
  3. Send a first problem: ./send_message --location {problem} {number} --await-response
  4. Stop the machines:    ./update_instances --option shutdown
  5. Remove everything:    ./delete-solver-infrastructure --project {project}"""
    )
