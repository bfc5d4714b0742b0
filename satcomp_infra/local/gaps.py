"""Where moto does otherwise than AWS, or nothing: put right on moto's own classes, in this process alone."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from moto.core.responses import ActionResult
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS
from moto.ec2.models.instances import Instance
from moto.ec2.responses.instances import InstanceResponse
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.responses import ServiceQuotasResponse

from ..tracks import TRACKS
from .slim_moto import Offerings

if TYPE_CHECKING:
    from .groups import Groups
    from .machines import Machines
    from .world import World

F = TypeVar("F", bound=Callable[..., Any])

_PAGE = 100
_OTHER_PARTITIONS = ("cn-", "us-gov-")
_VCPU_QUOTA = "L-1216C47A"
_NEW_ACCOUNT = 5
"""vCPUs that AWS gives to an account that has not asked for more."""


def replace(owner: type, name: str) -> Callable[[F], F]:
    """Put a function in the place of a method of one of moto's classes."""

    def put(function: F) -> F:
        setattr(owner, name, function)
        return function

    return put


def page(items: list[Any], token: str | None, size: int | None = None) -> tuple[list[Any], str | None]:
    """The page of items that a token of an earlier answer points to, and the token of the next; None: the last."""
    start, size = int(token or 0), min(size or _PAGE, _PAGE)
    end = start + size
    return items[start:end], str(end) if end < len(items) else None


def fill_ec2(world: World, groups: Groups, machines: Machines) -> None:
    """Moto ends an instance within the call, loses its place in long lists, and has switched on every region."""
    moto_terminate = Instance.terminate

    @replace(Instance, "terminate")
    def terminate(self: Instance) -> Any:
        machine = world.machines.get(self.id)
        if machine is None:  # gone already, or none of Auto Scaling's
            return moto_terminate(self)
        before = type(self.instance_state)(self.instance_state.name, self.instance_state.code)
        cause = (
            "An instance was taken out of service in response to an EC2 health check indicating it has been terminated "
            "or stopped."
        )
        groups.terminate(machine, time.monotonic(), cause)
        machines.terminate(machine, time.monotonic())
        world.scheduler.wake()
        return before

    moto_describe = InstanceResponse.describe_instances

    @replace(InstanceResponse, "describe_instances")
    def describe_instances(self: InstanceResponse) -> ActionResult:
        """A page ends at some instance. moto's next page fails if that one no longer meets the filters."""
        token, size = self._get_param("NextToken"), int(self._get_param("MaxResults", _PAGE))
        params: Any = self.params
        for name in ("NextToken", "MaxResults"):
            params.pop(name, None)
        params["MaxResults"] = len(self.ec2_backend.reservations)
        answer: Any = moto_describe(self).result
        age = {name: number for number, name in enumerate(self.ec2_backend.reservations)}
        left = [found for found in answer["Reservations"] if not token or age[found.id] > age[token]]
        return ActionResult({"Reservations": left[:size], "NextToken": left[size - 1].id if len(left) > size else None})

    # Those that AWS switches on for each account: where a project isn't found, all of them are asked.
    RegionsAndZonesBackend.regions = [
        region
        for region in RegionsAndZonesBackend.regions
        if region.opt_in_status == "opt-in-not-required" and not region.name.startswith(_OTHER_PARTITIONS)
    ]

    kinds, zones = {track.instance_type for track in TRACKS.values()}, world.settings.zones
    if zones:
        INSTANCE_TYPE_OFFERINGS["availability-zone"] = Offerings(
            "availability-zone", lambda offer: offer["InstanceType"] not in kinds or offer["Location"] in zones
        )


def fill_service_quotas(world: World) -> None:
    """Moto knows the quotas of VPCs, and no defaults."""
    moto_get = ServiceQuotasResponse.get_service_quota

    def quota(value: float) -> str:
        return json.dumps(
            {
                "Quota": {
                    "ServiceCode": "ec2",
                    "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
                    "QuotaCode": _VCPU_QUOTA,
                    "QuotaName": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
                    "Value": float(value),
                    "Unit": "None",
                    "Adjustable": True,
                    "GlobalQuota": False,
                }
            }
        )

    def is_vcpus(response: ServiceQuotasResponse) -> bool:
        asked = json.loads(response.body)
        return (asked.get("ServiceCode"), asked.get("QuotaCode")) == ("ec2", _VCPU_QUOTA)

    @replace(ServiceQuotasResponse, "get_service_quota")
    def get_service_quota(self: ServiceQuotasResponse) -> str:
        return quota(world.faults.vcpu_quota) if is_vcpus(self) else moto_get(self)

    @replace(ServiceQuotasResponse, "get_aws_default_service_quota")
    def get_aws_default_service_quota(self: ServiceQuotasResponse) -> str:
        if not is_vcpus(self):
            raise NoSuchResource
        return quota(_NEW_ACCOUNT)

    @replace(ServiceQuotasResponse, "request_service_quota_increase")
    def request_service_quota_increase(self: ServiceQuotasResponse) -> str:
        """Taken, and never granted: AWS itself takes hours or days."""
        asked = json.loads(self.body)
        kept = {name: asked[name] for name in ("ServiceCode", "QuotaCode", "DesiredValue")}
        return json.dumps({"RequestedQuota": {**kept, "Id": str(uuid.uuid4()), "Status": "PENDING"}})
