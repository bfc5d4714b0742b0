"""What things cost, and what a rendered template costs per hour: idle, and with nodes running.

Prices are in US dollars, on demand, Linux, without tax, as AWS publishes them for one region; others have others.
What is stored or moved is priced by the gigabyte and comes on top of the hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import SatcompError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REGION = "us-east-1"
"""Whose prices these are."""
AS_OF = "2026-11"
SOURCE = "AWS's public price lists: Amazon EC2, VPC, EBS, EFS, S3, ECR, CloudWatch"

MACHINE_HOUR = {"m6i.4xlarge": 0.768, "m6i.16xlarge": 3.072}
PUBLIC_ADDRESS_HOUR = 0.005
DISK_GB_MONTH = 0.08
"""General purpose disks (gp3)."""
HOURS_PER_MONTH = 730
"""AWS's own number, for what is priced by the month."""

STORED_GB_MONTH = {"EFS (shared files)": 0.30, "S3 (problems, results)": 0.023, "ECR (images)": 0.10, "logs": 0.03}
MOVED_GB = {"EFS read": 0.03, "EFS written": 0.06, "logs taken in": 0.50, "between zones, each way": 0.01}

_NAT_GATEWAY_HOUR = 0.045
_INTERFACE_ENDPOINT_HOUR = 0.01
_LOAD_BALANCER_HOUR = 0.0225

# Priced by use, or not at all: what is stored or moved, a call, a machine that is started elsewhere.
_NOTHING_PER_HOUR = frozenset(
    {
        "AWS::DynamoDB::Table",
        "AWS::EC2::InternetGateway",
        "AWS::EC2::LaunchTemplate",
        "AWS::EC2::Route",
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::Subnet",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPC",
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::ECR::Repository",
        "AWS::ECS::Cluster",
        "AWS::ECS::Service",
        "AWS::ECS::TaskDefinition",
        "AWS::EFS::AccessPoint",
        "AWS::EFS::FileSystem",
        "AWS::EFS::MountTarget",
        "AWS::IAM::InstanceProfile",
        "AWS::IAM::Role",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::SQS::Queue",
        "AWS::SQS::QueuePolicy",
    }
)


@dataclass(frozen=True)
class NodeCost:
    """What one running node costs per hour, part by part."""

    machine: float
    public_address: float
    disk: float

    @property
    def total(self) -> float:
        """All parts together, in dollars per hour."""
        return self.machine + self.public_address + self.disk


def idle_per_hour(template: Mapping[str, Any]) -> dict[str, float]:
    """Each resource of a template (as template.read() gives it) that costs money while no machine runs, per hour.

    Raises SatcompError for a type of resource whose price isn't known here: nothing is taken to be free.
    """
    costs = {}
    for name, resource in template["Resources"].items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind in _NOTHING_PER_HOUR:
            continue
        if kind not in _HOURLY:
            raise SatcompError(f"What a {kind} costs per hour is not known ({name}).")
        cost = _HOURLY[kind](template, properties)
        if cost:
            costs[name] = cost
    return costs


def node_per_hour(template: Mapping[str, Any]) -> NodeCost:
    """What each node costs while it runs. Raises SatcompError for a machine type whose price isn't known here."""
    launch = next(_of_type(template, "AWS::EC2::LaunchTemplate"))["LaunchTemplateData"]
    machine = launch["InstanceType"]
    if machine not in MACHINE_HOUR:
        raise SatcompError(f"What a {machine} costs per hour is not known.")
    gigabytes = sum(disk["Ebs"]["VolumeSize"] for disk in launch.get("BlockDeviceMappings", ()) if "Ebs" in disk)
    public = any(subnet.get("MapPublicIpOnLaunch") for subnet in _of_type(template, "AWS::EC2::Subnet"))
    return NodeCost(
        machine=MACHINE_HOUR[machine],
        public_address=PUBLIC_ADDRESS_HOUR if public else 0.0,
        disk=gigabytes * DISK_GB_MONTH / HOURS_PER_MONTH,
    )


def _of_type(template: Mapping[str, Any], kind: str) -> Any:
    return (resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == kind)


def _group(template: Mapping[str, Any], properties: Mapping[str, Any]) -> float:
    machines = max(int(properties.get("MinSize", 0)), int(properties.get("DesiredCapacity", 0)))
    return machines * node_per_hour(template).total


def _endpoint(_: Mapping[str, Any], properties: Mapping[str, Any]) -> float:
    if properties.get("VpcEndpointType", "Gateway") == "Gateway":
        return 0.0
    return len(properties.get("SubnetIds", ())) * _INTERFACE_ENDPOINT_HOUR


def _fixed(price: float) -> Callable[[Mapping[str, Any], Mapping[str, Any]], float]:
    return lambda *_: price


_HOURLY: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], float]] = {
    "AWS::AutoScaling::AutoScalingGroup": _group,
    "AWS::EC2::VPCEndpoint": _endpoint,
    "AWS::EC2::NatGateway": _fixed(_NAT_GATEWAY_HOUR),
    "AWS::EC2::EIP": _fixed(PUBLIC_ADDRESS_HOUR),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _fixed(_LOAD_BALANCER_HOUR),
}
