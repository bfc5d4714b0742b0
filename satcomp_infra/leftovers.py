"""What may be left of a project after its deletion, and could cost money: looked for by its names and its tag."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from . import images, storage
from .project import PROJECT_TAG

if TYPE_CHECKING:
    from collections.abc import Callable

    from .aws import Aws
    from .project import Project

_COSTING_STATES = ["pending", "running", "stopping", "stopped"]
_SHOWN = 5


def of(aws: Aws, project: Project) -> list[str]:
    """Each thing of the project that is still there, as a phrase. All kinds are looked for at the same time.

    Machines that are shutting down cost nothing, and neither do their disks, which go with them.
    """
    names = project.names(aws.account, aws.region)
    tag = {"Name": f"tag:{PROJECT_TAG}", "Values": [project.name]}
    checks: tuple[Callable[[], str], ...] = (
        lambda: _named("machine", _instances(aws, tag)),
        lambda: _named("disk", _disks(aws, tag)),
        lambda: _named("address", _addresses(aws, tag), "addresses"),
        lambda: _named("file system", _file_systems(aws, project)),
        lambda: _named("log group", _log_groups(aws, {names.leader_log_group, names.worker_log_group})),
        lambda: f"bucket {names.bucket}" if storage.exists(aws, names.bucket) else "",
        lambda: f"repository {names.repository}" if images.exists(aws, names.repository) else "",
    )
    with ThreadPoolExecutor(len(checks)) as pool:
        return [found for found in pool.map(lambda check: check(), checks) if found]


def _named(kind: str, found: list[str], plural: str = "") -> str:
    """Things as a phrase: all of few, some of many."""
    if not found:
        return ""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{kind if len(found) == 1 else plural or f'{kind}s'} {', '.join(found[:_SHOWN])}{more}"


def _instances(aws: Aws, tag: Any) -> list[str]:
    states: Any = {"Name": "instance-state-name", "Values": _COSTING_STATES}
    pages = aws.ec2.get_paginator("describe_instances").paginate(Filters=[tag, states])
    return [i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]]


def _disks(aws: Aws, tag: Any) -> list[str]:
    unused: Any = {"Name": "status", "Values": ["available"]}
    pages = aws.ec2.get_paginator("describe_volumes").paginate(Filters=[tag, unused])
    return [volume["VolumeId"] for page in pages for volume in page["Volumes"]]


def _addresses(aws: Aws, tag: Any) -> list[str]:
    return [address["PublicIp"] for address in aws.ec2.describe_addresses(Filters=[tag])["Addresses"]]


def _file_systems(aws: Aws, project: Project) -> list[str]:
    wanted = {"Key": PROJECT_TAG, "Value": project.name}
    pages = aws.efs.get_paginator("describe_file_systems").paginate()
    return [fs["FileSystemId"] for page in pages for fs in page["FileSystems"] if wanted in fs["Tags"]]


def _log_groups(aws: Aws, wanted: set[str]) -> list[str]:
    pages = aws.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=min(wanted).rpartition("-")[0])
    return [group["logGroupName"] for page in pages for group in page["logGroups"] if group["logGroupName"] in wanted]
