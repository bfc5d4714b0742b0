"""Finding the project that a command is meant for, or saying where it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from .errors import SatcompError
from .stack import Infrastructure, Stack, State, describe, projects

if TYPE_CHECKING:
    from .aws import Aws
    from .project import Project


def find(aws: Aws, project: Project | None) -> Infrastructure:
    """The infrastructure of a project, or of the region's only one. Raises SatcompError where there is none to use."""
    stack = describe(aws, project.stack) if project else None
    if stack is None or (project and stack.project != project.name):
        stack = _only(aws, project)
    if stack.state is State.BUSY:
        raise SatcompError(
            f"The infrastructure of project '{stack.project}' is being {stack.doing} at the moment ({stack.status}).",
            "Wait until that is done, and type the command again.",
        )
    if stack.state is State.BROKEN:
        raise SatcompError(
            f"The infrastructure of project '{stack.project}' is not complete ({stack.status}).",
            f"Remove what is there:\n./delete-solver-infrastructure --project {stack.project}",
        )
    return Infrastructure.of(stack)


def absent(aws: Aws, project: Project | None, here: list[Stack]) -> SatcompError:
    """The error for a project, or any, that isn't in this region, which has the projects `here`.

    Says where it is: people look in the wrong region more often than anything else goes wrong.
    """
    wanted = f"project '{project.name}'" if project else "any project"
    message = f"There is no infrastructure of {wanted} in region {aws.region}"
    others = elsewhere(aws, project)
    if others:
        places = " and ".join(f"'{name}' in {region}" for region, name in others)
        return SatcompError(f"{message}, but of {places}.", f"Type: --region {others[0][0]}")
    if here:
        names = ", ".join(f"'{stack.project}'" for stack in here)
        return SatcompError(
            f"{message}; this account has {names} there.", f"Type for example: --project {here[0].project}"
        )
    name = project.name if project else "PROJECT_NAME"
    return SatcompError(
        f"{message}, and none was found in the account's other regions.",
        f"Create it:\n./create-solver-infrastructure --project {name} --solver-type {{cloud,parallel}}",
    )


def elsewhere(aws: Aws, project: Project | None) -> list[tuple[str, str]]:
    """Region and name of each project in the account's other regions, or of the one that is meant.

    All regions are asked at once; one that doesn't answer is passed over, for this is only to help.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    def ask(region: str) -> list[tuple[str, str]]:
        try:
            other = aws.in_region(region)
            stacks = projects(other) if project is None else [describe(other, project.stack)]
        except (BotoCoreError, ClientError):
            return []
        names = [found.project for found in stacks if found and found.project]
        return [(region, name) for name in names if project is None or name == project.name]

    try:
        answer = aws.ec2.describe_regions()["Regions"]  # those that the account has switched on
    except (BotoCoreError, ClientError):
        return []
    regions = sorted(region["RegionName"] for region in answer if region["RegionName"] != aws.region)
    if not regions:
        return []
    with ThreadPoolExecutor(len(regions)) as pool:
        return [found for some in pool.map(ask, regions) for found in some]


def _only(aws: Aws, project: Project | None) -> Stack:
    stacks = projects(aws)
    if project or not stacks:
        raise absent(aws, project, stacks)
    if len(stacks) > 1:
        names = ", ".join(f"'{stack.project}'" for stack in stacks)
        raise SatcompError(
            f"This account has several projects in region {aws.region}: {names}.",
            f"Say which one you mean, for example: --project {stacks[0].project}",
        )
    return stacks[0]
