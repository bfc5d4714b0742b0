"""What may be left of a project after its deletion, and could cost money."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from . import images, storage
from .progress import count
from .project import PROJECT_TAG

if TYPE_CHECKING:
    from .aws import Aws
    from .project import Project

_COSTING_STATES = ["pending", "running", "stopping", "stopped"]


def of(aws: Aws, project: Project) -> list[str]:
    """Each thing of the project that is still there, as a phrase. Machines that are shutting down cost nothing."""
    names = project.names(aws.account, aws.region)
    checks = (
        lambda: _instances(aws, project),
        lambda: _volumes(aws, project),
        lambda: f"bucket {names.bucket}" if storage.exists(aws, names.bucket) else "",
        lambda: _images(aws, names.repository),
    )
    with ThreadPoolExecutor(len(checks)) as pool:
        return [found for found in pool.map(lambda check: check(), checks) if found]


def _instances(aws: Aws, project: Project) -> str:
    pages = aws.ec2.get_paginator("describe_instances").paginate(
        Filters=[
            {"Name": f"tag:{PROJECT_TAG}", "Values": [project.name]},
            {"Name": "instance-state-name", "Values": _COSTING_STATES},
        ]
    )
    ids = [i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]]
    return f"{count(len(ids), 'machine')} ({', '.join(ids)})" if ids else ""


def _volumes(aws: Aws, project: Project) -> str:
    pages = aws.ec2.get_paginator("describe_volumes").paginate(
        Filters=[
            {"Name": f"tag:{PROJECT_TAG}", "Values": [project.name]},
            {"Name": "status", "Values": ["available"]},  # one in use goes with its machine
        ]
    )
    ids = [volume["VolumeId"] for page in pages for volume in page["Volumes"]]
    return f"{count(len(ids), 'disk')} ({', '.join(ids)})" if ids else ""


def _images(aws: Aws, repository: str) -> str:
    number = len(images.tags(aws, repository))
    return f"repository {repository} with {count(number, 'image')}" if number else ""
