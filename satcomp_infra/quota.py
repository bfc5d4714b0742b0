"""How many vCPUs the account may run at once: what keeps most first clusters from starting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .aws import error_code
from .progress import count

if TYPE_CHECKING:
    from .aws import Aws
    from .tracks import Track

SERVICE = "ec2"
CODE = "L-1216C47A"
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
        f"The account may run {quota} vCPU at once, which is room for {count(nodes(track, quota), 'node')} of "
        f"{track.vcpus} vCPU; {count(wanted, 'node')} need {wanted * track.vcpus}. Request at least that many here, "
        f"which takes hours to days: {console_path(region)}"
    )
