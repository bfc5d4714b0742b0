"""One resource of a stack: made, changed and removed as CloudFormation does it, where moto does it otherwise."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import autoscaling_backends
from moto.cloudformation.parsing import clean_json, generate_resource_name, resource_class_from_type
from moto.core.utils import pascal_to_camelcase, remap_nested_keys
from moto.ec2.models import ec2_backends
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.subnets import Subnet
from moto.ecr.models import ecr_backends
from moto.ecs.models import TaskDefinition, ecs_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends

from .settings import ACCOUNT

if TYPE_CHECKING:
    from moto.cloudformation.parsing import ResourceMap

    from .groups import Groups
    from .services import Services


class NotYet(Exception):  # noqa: N818  # not an error: it takes longer
    """A resource can't be removed yet: others that it started on its own are still ending."""


class Refusal(Exception):  # noqa: N818  # AWS's word against the stack, not a mistake of the local cloud's
    """A service refuses what CloudFormation asks of it; the message is the service's."""


@dataclass
class Resource:
    """What CloudFormation knows of a resource. `properties`: as last made or changed, everything resolved."""

    id: str
    type: str
    status: str = ""
    reason: str | None = None
    physical_id: str = ""
    properties: Any = None
    moto: Any = None
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))

    def described(self, stack_id: str, stack_name: str) -> dict[str, Any]:
        """As DescribeStackResources and ListStackResources answer."""
        return {
            "StackId": stack_id,
            "StackName": stack_name,
            "LogicalResourceId": self.id,
            "PhysicalResourceId": self.physical_id or None,
            "ResourceType": self.type,
            "ResourceStatus": self.status,
            "ResourceStatusReason": self.reason,
            "Timestamp": self.timestamp,
            "LastUpdatedTimestamp": self.timestamp,
        }


class Unknown:
    """Stands for a resource of a type that moto doesn't know: it has a name, and does nothing."""

    def __init__(self, name: str) -> None:
        self.physical_resource_id = name

    def get_cfn_attribute(self, name: str) -> str:
        """Some text: there is nothing that it could be of."""
        return f"{self.physical_resource_id}.{name}"

    def is_created(self) -> bool:
        """At once."""
        return True


def create(resource: Resource, resources: ResourceMap, tags: dict[str, str]) -> None:
    """Make it. Raises whatever moto raises."""
    body = resources._resource_json_map[resource.id]
    resource.properties = resolved(body, resources)
    _check_absent(resource, str(resources._region_name))
    if resource_class_from_type(resource.type) is None:
        name = generate_resource_name(resource.type, str(resources._parsed_resources["AWS::StackName"]), resource.id)
        resources._parsed_resources[resource.id] = Unknown(name)
    resource.moto = resources[resource.id]
    resource.physical_id = str(getattr(resource.moto, "physical_resource_id", None) or resource.id)
    if isinstance(resource.moto, Subnet):  # moto leaves this property out
        resource.moto.map_public_ip_on_launch = str(resource.properties.get("MapPublicIpOnLaunch")).lower() == "true"
    if isinstance(resource.moto, TaggedEC2Resource):
        own = {**tags, "aws:cloudformation:logical-id": resource.id}
        ec2_backends[ACCOUNT][resources._region_name].create_tags([resource.physical_id], own)


def resolved(body: dict[str, Any], resources: ResourceMap) -> Any:
    """A resource's properties with everything that they refer to filled in."""
    return clean_json(copy.deepcopy(body.get("Properties", {})), resources)


def update(resource: Resource, properties: Any, resources: ResourceMap, services: Services) -> None:
    """Change it in place. What moto would replace by a new one, with loss of what is in it, stays as it is."""
    region = str(resources._region_name)
    if resource.type == "AWS::AutoScaling::AutoScalingGroup":
        _update_group(resource.moto, properties)
    elif resource.type == "AWS::ECS::Service":
        _update_service(resource.moto, properties, services)
    elif resource.type == "AWS::ECS::TaskDefinition":
        ecs_backends[ACCOUNT][region].deregister_task_definition(resource.physical_id)
        resource.moto = _register_task_definition(properties, region)
        resource.moto.logical_resource_id, resource.moto.cf_resource_type = resource.id, resource.type
        resources._parsed_resources[resource.id] = resource.moto
        resource.physical_id = resource.moto.arn
    elif resource.type in ("AWS::EC2::LaunchTemplate", "AWS::SQS::Queue"):
        json = {"Type": resource.type, "Properties": copy.deepcopy(properties)}
        type(resource.moto).update_from_cloudformation_json(resource.moto, resource.physical_id, json, ACCOUNT, region)
    resource.properties = properties


def delete(resource: Resource, resources: ResourceMap, groups: Groups, now: float) -> None:
    """Remove it. Raises NotYet while it is ending, Refusal where its service refuses, or whatever moto raises."""
    region = str(resources._region_name)
    if resource.moto is not None and not isinstance(resource.moto, Unknown):
        if resource.type == "AWS::AutoScaling::AutoScalingGroup":
            _delete_group(resource.moto, groups, now)
        elif resource.type in _DELETE:
            _DELETE[resource.type](resource, region)
        else:
            json = {"Type": resource.type, "Properties": resource.properties}
            resources._delete_resource(resource.moto, json)
    resources._parsed_resources.pop(resource.id, None)


def create_task_definition(_name: str, json: Any, _account: str, region: str, **_: Any) -> TaskDefinition:
    """In the place of moto's method, which passes on neither the network mode, nor roles, nor placement."""
    return _register_task_definition(json["Properties"], region)


def _register_task_definition(properties: Any, region: str) -> TaskDefinition:
    def api(name: str) -> Any:
        """The property as ECS spells it; None where it isn't set."""
        return remap_nested_keys(copy.deepcopy(properties.get(name)), pascal_to_camelcase)

    return ecs_backends[ACCOUNT][region].register_task_definition(
        family=properties["Family"],
        container_definitions=api("ContainerDefinitions"),
        volumes=[_volume(volume) for volume in api("Volumes") or ()],
        network_mode=properties.get("NetworkMode"),
        requires_compatibilities=properties.get("RequiresCompatibilities"),
        cpu=properties.get("Cpu"),
        memory=properties.get("Memory"),
        task_role_arn=properties.get("TaskRoleArn"),
        execution_role_arn=properties.get("ExecutionRoleArn"),
        placement_constraints=api("PlacementConstraints"),
        tags=api("Tags"),
    )


def _volume(volume: dict[str, Any]) -> dict[str, Any]:
    """CloudFormation and ECS spell the same names differently."""
    efs = volume.pop("eFSVolumeConfiguration", None)
    if efs:
        efs["fileSystemId"] = efs.pop("filesystemId")
        if "iAM" in efs.get("authorizationConfig", {}):
            efs["authorizationConfig"]["iam"] = efs["authorizationConfig"].pop("iAM")
        volume["efsVolumeConfiguration"] = efs
    return volume


def _update_group(group: Any, properties: Any) -> None:
    group.min_size, group.max_size = int(properties["MinSize"]), int(properties["MaxSize"])
    if "LaunchTemplate" in properties:
        group._set_launch_configuration("", properties["LaunchTemplate"], None)
    if "VPCZoneIdentifier" in properties:
        group._set_azs_and_vpcs([], ",".join(properties["VPCZoneIdentifier"]), update=True)
    group.tags = [dict(tag) for tag in properties.get("Tags", [])]
    wanted = int(properties.get("DesiredCapacity", group.desired_capacity or 0))
    group.desired_capacity = min(max(wanted, group.min_size), group.max_size)


def _update_service(service: Any, properties: Any, services: Services) -> None:
    service.desired_count = int(properties.get("DesiredCount", 1))  # left out, it is 1 for CloudFormation
    if service.task_definition != properties["TaskDefinition"]:
        service.task_definition = properties["TaskDefinition"]
        services.deploy_anew(service)


def _delete_group(moto_group: Any, groups: Groups, now: float) -> None:
    moto_group.min_size = moto_group.max_size = moto_group.desired_capacity = 0
    if groups.of(moto_group).members:
        raise NotYet
    groups.delete(moto_group, now)


def _delete_service(resource: Resource, region: str) -> None:
    ecs = ecs_backends[ACCOUNT][region]
    service = resource.moto
    if service.status != "INACTIVE":
        service.desired_count = 0
        if service.status == "ACTIVE":
            ecs.delete_service(service.cluster_name, service.name, force=True)
        raise NotYet


def _delete_bucket(resource: Resource, _region: str) -> None:
    backend = s3_backends[ACCOUNT]["aws"]
    bucket = backend.buckets.get(resource.physical_id)
    if bucket is None:
        return
    if bucket.keys or bucket.multiparts:
        versions = " You must delete all versions in the bucket." if bucket.versioning_status else ""
        raise Refusal(
            f'Resource handler returned message: "The bucket you tried to delete is not empty.{versions} (Service: S3, '
            'Status Code: 409)" (HandlerErrorCode: GeneralServiceException)'
        )
    backend.delete_bucket(resource.physical_id)


def _delete_repository(resource: Resource, region: str) -> None:
    ecr = ecr_backends[ACCOUNT][region]
    repository = ecr.repositories.get(resource.physical_id)
    if repository is None:
        return
    forced = str(resource.properties.get("EmptyOnDelete", "")).lower() == "true"
    if repository.images and not forced:
        raise Refusal(
            f"Resource handler returned message: \"The repository with name '{repository.name}' in registry with id "
            f"'{ACCOUNT}' cannot be deleted because it still contains images (Service: Ecr, Status Code: 400)\" "
            "(HandlerErrorCode: GeneralServiceException)"
        )
    ecr.delete_repository(repository.name, force=forced)


def _delete_cluster(resource: Resource, region: str) -> None:
    cluster = ecs_backends[ACCOUNT][region].clusters.get(resource.physical_id)
    if cluster is not None and cluster.status == "ACTIVE":
        ecs_backends[ACCOUNT][region].delete_cluster(cluster.name)


def _delete_route(resource: Resource, region: str) -> None:
    properties = resource.properties
    ec2_backends[ACCOUNT][region].delete_route(properties["RouteTableId"], properties.get("DestinationCidrBlock"))


def _detach_gateway(resource: Resource, region: str) -> None:
    properties = resource.properties
    ec2_backends[ACCOUNT][region].detach_internet_gateway(properties["InternetGatewayId"], properties["VpcId"])


def _forget_association(resource: Resource, region: str) -> None:
    ec2 = ec2_backends[ACCOUNT][region]
    for entry in ec2.get_route_table(resource.properties["RouteTableId"]).associations:
        if entry.get("SubnetId") == resource.properties["SubnetId"]:
            ec2.disassociate_route_table(entry["RouteTableAssociationId"])


def _nothing(_resource: Resource, _region: str) -> None:
    """It goes with what it is a part of."""


_DELETE: dict[str, Callable[[Resource, str], object]] = {
    "AWS::S3::Bucket": _delete_bucket,
    "AWS::ECR::Repository": _delete_repository,
    "AWS::ECS::Cluster": _delete_cluster,
    "AWS::ECS::Service": _delete_service,
    "AWS::ECS::TaskDefinition": lambda r, region: ecs_backends[ACCOUNT][region].deregister_task_definition(
        r.physical_id
    ),
    "AWS::EC2::Route": _delete_route,
    "AWS::EC2::VPCGatewayAttachment": _detach_gateway,
    "AWS::EC2::SubnetRouteTableAssociation": _forget_association,
    "AWS::EC2::RouteTable": lambda r, region: ec2_backends[ACCOUNT][region].delete_route_table(r.physical_id),
    "AWS::EC2::InternetGateway": lambda r, region: ec2_backends[ACCOUNT][region].delete_internet_gateway(r.physical_id),
    "AWS::EC2::VPCEndpoint": lambda r, region: ec2_backends[ACCOUNT][region].delete_vpc_endpoints([r.physical_id]),
    "AWS::EC2::SecurityGroupIngress": _nothing,
    "AWS::EC2::SecurityGroupEgress": _nothing,
}


def _check_absent(resource: Resource, region: str) -> None:
    """Refuse what moto would silently share between two stacks."""
    name = ""
    if resource.type == "AWS::SQS::Queue":
        name = resource.properties.get("QueueName", "")
        there = name in sqs_backends[ACCOUNT][region].queues
    elif resource.type == "AWS::ECS::Cluster":
        name = resource.properties.get("ClusterName", "")
        cluster = ecs_backends[ACCOUNT][region].clusters.get(name)
        there = cluster is not None and cluster.status == "ACTIVE"
    elif resource.type == "AWS::AutoScaling::AutoScalingGroup":
        name = resource.properties.get("AutoScalingGroupName", "")
        there = name in autoscaling_backends[ACCOUNT][region].autoscaling_groups
    if name and there:
        raise Refusal(f"Resource of type '{resource.type}' with identifier '{name}' already exists.")
