"""delete-solver-infrastructure: remove a project from AWS, with all that is stored in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import cli, images, leftovers, stack, storage
from ..causes import advice
from ..command_line import Example, Parser
from ..errors import Exit, SatcompError, UsageError
from ..finding import absent, elsewhere
from ..fleet import Cluster
from ..stack import State
from ..stack_events import events_so_far, follow, settle
from ..stopping import stop_all
from ..units import count, duration

if TYPE_CHECKING:
    import argparse

    from ..aws import Aws
    from ..progress import Console
    from ..project import Project
    from ..stack import Stack

TIMEOUT = "30m"


def parser() -> Parser:
    """The command's arguments."""
    parser = Parser(
        "delete-solver-infrastructure",
        "Remove a project from AWS, with everything that is stored in it.",
        usage=["--project PROJECT_NAME [options]"],
        notes="Its machines are stopped; its bucket with all files and results, its images, queues and all the rest "
        "are deleted. Nothing is kept. You are asked for the project's name first.",
        examples=[
            Example("remove a project, after asking", "./delete-solver-infrastructure --project my-solver"),
            Example(
                "the same in a script, where nobody can be asked",
                "./delete-solver-infrastructure --project team/solver_1 --yes",
            ),
        ],
        exit_codes={
            0: "nothing of the project is left in this region (or never was there)",
            1: "something is left, or not deleted within --timeout; the project is in another region; or the name that "
            "you typed to confirm was not its own",
            130: "ended by Ctrl-C; what is deleted is gone, and AWS goes on with what was begun",
        },
    )
    what = parser.add_argument_group("what to delete")
    cli.add_project(what, required=True)
    what.add_argument("--yes", action="store_true", help="don't ask for the project's name")
    cli.add_timeout(parser.add_argument_group("waiting"), TIMEOUT)
    cli.add_aws_options(parser, project=False)
    cli.add_output_options(parser)
    return parser


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Stop, empty, delete, and look for what is left."""
    aws, project = cli.connect(args), args.project
    existing = stack.describe(aws, project.stack)
    if existing is None or existing.project != project.name:
        return _nothing_there(aws, project, console)
    if not args.yes:
        _confirm(project, aws.region, console)
    calm = _calm(aws, existing, args.timeout, console)
    console.when_interrupted = "What is deleted is gone. Type the same command again to delete the rest."
    _delete(aws, project, calm, args.timeout, console)
    return _report(aws, project, console)


def _nothing_there(aws: Aws, project: Project, console: Console) -> Exit:
    """Already gone is a success; in another region, or spelt otherwise, is not."""
    here = stack.projects(aws)
    if here or elsewhere(aws, project):
        raise absent(aws, project, here)
    return _report(aws, project, console, f"There is no project '{project.name}' in region {aws.region}.")


def _confirm(project: Project, region: str, console: Console) -> None:
    if not console.is_attended:
        raise UsageError(
            f"This would delete project '{project.name}' in {region} with all its files, and nobody is there to ask.",
            "Add --yes to delete it without being asked.",
        )
    console.say(
        f"This deletes project '{project.name}' in {region}, with all files in its bucket and all its images. Nothing "
        "of that can be brought back."
    )
    answer = console.ask("Type the project's name to go on:")
    if answer != project.name:
        raise SatcompError(f"'{answer}' is not the project's name: nothing was deleted.")


def _calm(aws: Aws, existing: Stack, timeout: float, console: Console) -> Stack:
    """The stack once nothing but a deletion is being done to it: CloudFormation refuses to delete during an update."""
    if existing.state is not State.BUSY or existing.status in ("CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
        return existing
    return settle(aws, console, existing, timeout)[0]


def _delete(aws: Aws, project: Project, existing: Stack, timeout: float, console: Console) -> None:
    names = project.names(aws.account, aws.region)
    seen = None
    resources = stack.resources(aws, existing.id)
    if existing.status != "DELETE_IN_PROGRESS":
        stop_all(Cluster.of_resources(aws, resources), console, timeout)
        with console.waiting(f"Emptying bucket {names.bucket}") as wait:
            objects = storage.empty(aws, names.bucket, lambda done: wait.update(f"{count(done, 'object')} deleted"))
        pictures = images.delete_all(aws, names.repository)
        console.say(f"Deleted {count(objects, 'object')} and {count(pictures, 'image')}.")
        seen = events_so_far(aws, existing.id)
        aws.cloudformation.delete_stack(StackName=existing.id)
        console.say(
            f"Deleting stack {existing.name}.\n"
            f"This takes 2 to 5 min; the command waits for at most {duration(timeout)}."
        )
    number = len(resources) if seen is not None else None  # of a deletion under way, some are gone already
    with console.waiting("Deleting", number) as wait:
        done, cause = follow(aws, existing.id, wait, timeout=timeout, seen=seen, resources=number)
        elapsed = wait.elapsed
    if done.state is not State.ABSENT:
        failure = cause or done.reason or done.status
        raise SatcompError(
            f"AWS couldn't delete everything. What failed first was {failure}.",
            f"{advice(failure)} If it fails the same way again, delete that resource in the AWS console first.",
        )
    console.say(f"Stack deleted in {duration(elapsed)}.")


def _report(aws: Aws, project: Project, console: Console, said: str = "") -> Exit:
    remains = leftovers.of(aws, project)
    console.when_interrupted = ""
    if remains:
        raise SatcompError(
            f"{said or f'The stack of project {project.name} is deleted.'} But something is left that can cost money: "
            f"{'; '.join(remains)}.",
            "Type the same command again in a minute; what is still there then, delete in the AWS console.",
        )
    console.result(f"{said or f'Project {project.name!r} is deleted.'} Nothing of it is left in {aws.region}.")
    return Exit.OK
