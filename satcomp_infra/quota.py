"""How many vCPUs the account may run at once: what keeps most first clusters from starting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .aws import error_code
from .listing import instances
from .tracks import TRACKS
from .units import count

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import CpuOptionsTypeDef

    from .aws import Aws
    from .tracks import Track

SERVICE = "ec2"
CODE = "L-1216C47A"
_FAMILIES = "acdhimrtz"
NAME = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"


def vcpus(aws: Aws) -> int | None:
    """The quota, in vCPUs; None where the user may not ask for it."""
    from botocore.exceptions import ClientError

    client = aws.service_quotas
    try:
        try:
            quota = client.get_service_quota(ServiceCode=SERVICE, QuotaCode=CODE)["Quota"]
        except client.exceptions.NoSuchResourceException:  # never changed from AWS's default
            quota = client.get_aws_default_service_quota(ServiceCode=SERVICE, QuotaCode=CODE)["Quota"]
    except ClientError as error:
        if error_code(error) in ("AccessDenied", "AccessDeniedException"):
            return None
        raise
    return int(quota["Value"])


def used(aws: Aws) -> int:
    """The vCPUs of all on-demand machines that count for this quota and are running or starting now."""
    return sum(
        _vcpus_of(machine["InstanceType"], machine.get("CpuOptions", {}))
        for machine in instances(aws, {"instance-state-name": ["pending", "running"]})
        if machine["InstanceType"][0] in _FAMILIES and not machine.get("InstanceLifecycle")
    )


def _vcpus_of(instance_type: str, cpu: CpuOptionsTypeDef) -> int:
    if "CoreCount" in cpu:
        return cpu["CoreCount"] * cpu.get("ThreadsPerCore", 1)
    return next((track.vcpus for track in TRACKS.values() if track.instance_type == instance_type), 0)


def nodes(track: Track, quota: int) -> int:
    """How many nodes of a track fit into so many vCPUs."""
    return quota // track.vcpus


def console_path(region: str) -> str:
    """Where in the console the quota can be raised, and how it is called there."""
    return f"AWS console, region {region} > Service Quotas > Amazon EC2 > {NAME} ({CODE})"


def warning(track: Track, quota: int, wanted: int, region: str) -> str:
    """What to say where so many nodes don't fit; empty where they do."""
    if nodes(track, quota) >= wanted:
        return ""
    return (
        f"The account may run {quota} vCPU at once, which is room for {count(nodes(track, quota), 'machine')} of "
        f"{track.vcpus} vCPU; {count(wanted, 'machine')} {'needs' if wanted == 1 else 'need'} {wanted * track.vcpus}. "
        f"Request at least that many here, which takes hours to days: {console_path(region)}"
    )
