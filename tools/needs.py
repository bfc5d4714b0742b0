"""What a user must be allowed: for the calls that commands make, for what CloudFormation creates, and by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from satcomp_infra.local.settings import ACCOUNT
from satcomp_infra.template import read, render
from satcomp_infra.tracks import TRACKS

from .recording import PROJECT, REGION, Call

# ---- The commands' own calls

_ACTIONS = {
    # Whoever changes a group must be allowed to start what it starts (Auto Scaling user guide, «Control Amazon EC2
    # launch template usage in Auto Scaling groups»).
    "autoscaling.UpdateAutoScalingGroup": (
        "autoscaling:UpdateAutoScalingGroup",
        "ec2:CreateTags",
        "ec2:RunInstances",
        "iam:PassRole",
    ),
    # S3's actions have names of their own (S3 user guide, "Required permissions for Amazon S3 API operations"). Without
    # s3:ListBucket, S3 says «forbidden» of an object that isn't there, and a result that isn't there yet is no error.
    "s3.AbortMultipartUpload": ("s3:AbortMultipartUpload",),
    "s3.DeleteObjects": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "s3.GetObject": ("s3:GetObject", "s3:ListBucket"),
    "s3.HeadBucket": ("s3:ListBucket",),
    "s3.HeadObject": ("s3:GetObject", "s3:ListBucket"),
    "s3.ListMultipartUploads": ("s3:ListBucketMultipartUploads",),
    "s3.ListObjectVersions": ("s3:ListBucketVersions",),
    "s3.ListObjectsV2": ("s3:ListBucket",),
    "s3.PutObject": ("s3:PutObject",),
    # Batches need the permission for one (SQS developer guide, "Amazon SQS API permissions").
    "sqs.ChangeMessageVisibilityBatch": ("sqs:ChangeMessageVisibility",),
    "sqs.DeleteMessageBatch": ("sqs:DeleteMessage",),
    "sqs.SendMessageBatch": ("sqs:SendMessage",),
    # Everybody may ask who they are (STS API reference, GetCallerIdentity).
    "sts.GetCallerIdentity": (),
}


def actions(call: Call) -> tuple[str, ...]:
    """The IAM actions that a call needs. Raises KeyError for one of S3's that the table lacks."""
    if call.name in _ACTIONS:
        return _ACTIONS[call.name]
    if call.service == "s3":
        raise KeyError(f"tools/needs.py doesn't say yet which action {call.name} needs")
    action = f"{call.prefix}:{call.operation}"
    # To describe whatever stacks there are is to list them, too, since 2023.
    if call.name == "cloudformation.DescribeStacks" and "StackName" not in call.parameters:
        return action, "cloudformation:ListStacks"
    return (action,)


_OF_OBJECTS = ("s3:AbortMultipartUpload", "s3:DeleteObject*", "s3:GetObject", "s3:PutObject")


def resources(call: Call, action: str) -> list[str]:
    """The ARNs of what a call touches; `*` where it is about nothing in particular, or isn't known to be."""
    given, place = call.parameters, f"{call.region}:{ACCOUNT}"
    if action.partition(":")[0] != call.prefix:  # what the service asks for beside: about what, it knows
        return ["*"]
    if call.service == "s3":
        bucket = f"arn:aws:s3:::{given['Bucket']}"
        return [f"{bucket}/{given.get('Key', 'any')}" if _matches(action, _OF_OBJECTS) else bucket]
    if call.service == "sqs":
        return [f"arn:aws:sqs:{place}:{given.get('QueueName') or _last(given['QueueUrl'])}"]
    if call.service == "dynamodb":
        return [f"arn:aws:dynamodb:{place}:table/{given['TableName']}"]
    if call.service == "cloudformation":
        stack = given.get("StackName", "*")
        return [stack if stack.startswith("arn:") else f"arn:aws:cloudformation:{place}:stack/{stack}/*"]
    if call.service == "ecs":
        return _of_ecs(given, f"arn:aws:ecs:{place}")
    if call.service == "autoscaling" and "AutoScalingGroupName" in given:
        return [f"arn:aws:autoscaling:{place}:autoScalingGroup:id:autoScalingGroupName/{given['AutoScalingGroupName']}"]
    if call.service == "ecr" and {"repositoryName", "repositoryNames"} & given.keys():
        names = given.get("repositoryNames") or [given["repositoryName"]]
        return [f"arn:aws:ecr:{place}:repository/{name}" for name in names]
    return ["*"]


def _of_ecs(given: Mapping[str, Any], here: str) -> list[str]:
    """The finest that a call to ECS names: tasks, machines and services lie within a cluster."""
    clusters = [_last(cluster) for cluster in given.get("clusters") or [given.get("cluster", "default")]]
    for kind, parameter in (("task", "tasks"), ("container-instance", "containerInstances"), ("service", "services")):
        singular = parameter.removesuffix("s")
        within = given.get(parameter) or ([given[singular]] if singular in given else [])
        if within:
            return [f"{here}:{kind}/{clusters[0]}/{_last(name)}" for name in within]
    return [f"{here}:cluster/{cluster}" for cluster in clusters]


def _last(path: str) -> str:
    return path.rpartition("/")[2]


NOT_PROVOKED = {
    "service-quotas.GetAWSDefaultServiceQuota": (
        "servicequotas:GetAWSDefaultServiceQuota",
        "the account's quota was never raised",
    ),
}
"""Calls that commands can make, but not in the recorded walkthrough: the action, and when."""

BY_HAND = {
    "the Docker engine, for `./push-ecr` (ECR user guide, «IAM permissions for pushing an image»)": (
        "ecr:GetAuthorizationToken",
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    ),
    "`./push-ecr --restart`": ("ecs:UpdateService",),
    "`aws s3 cp` of problems and results, `aws s3 ls` of the bucket": (
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
    ),
}
"""What the README has the user type beside the commands."""


# ---- What CloudFormation needs, which creates a stack's resources in the user's name

_BESIDE_HANDLERS = {
    "AWS::EFS::MountTarget": (
        # EFS API reference: CreateMountTarget, DeleteMountTarget, ModifyMountTargetSecurityGroups
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:ModifyNetworkInterfaceAttribute",
    ),
    "the template's parameter": (
        # CloudFormation user guide, on parameters of type AWS::SSM::Parameter::Value
        "ssm:GetParameters",
    ),
}
"""What is asked for beside the permissions in the resource types' schemas, and where that is written."""

_UNUSED_PROPERTIES: dict[str, dict[str, tuple[str, ...]]] = {
    "AWS::AutoScaling::AutoScalingGroup": {
        "NotificationConfigurations": ("autoscaling:*NotificationConfiguration",),
        "MetricsCollection": ("autoscaling:*MetricsCollection",),
        "LifecycleHookSpecificationList": ("autoscaling:*LifecycleHook",),
        "LoadBalancerNames": ("autoscaling:*LoadBalancers", "elasticloadbalancing:*"),
        "TargetGroupARNs": ("autoscaling:*LoadBalancerTargetGroups",),
        "TrafficSources": ("autoscaling:*TrafficSources", "vpc-lattice:*"),
        "UpdatePolicy": ("autoscaling:*Processes", "autoscaling:*InstanceRefresh"),
        "AvailabilityZoneImpairmentPolicy": ("cloudwatch:*",),
    },
    "AWS::DynamoDB::Table": {
        "ContributorInsightsSpecification": ("dynamodb:UpdateContributorInsights",),
        "ImportSourceSpecification": ("dynamodb:ImportTable", "dynamodb:DescribeImport", "logs:*", "s3:*"),
        "KinesisStreamSpecification": ("dynamodb:*ableKinesis*", "dynamodb:UpdateKinesis*", "kinesis:*"),
        "PointInTimeRecoverySpecification": ("dynamodb:UpdateContinuousBackups",),
        "ResourcePolicy": ("dynamodb:PutResourcePolicy", "dynamodb:DeleteResourcePolicy"),
        "SSESpecification": ("kms:*",),
        "TimeToLiveSpecification": ("dynamodb:UpdateTimeToLive",),
        "GlobalTableSourceArn": (
            *("dynamodb:*TableReplica", "dynamodb:Scan", "dynamodb:Query", "iam:CreateServiceLinkedRole"),
            *("dynamodb:*Item",),
        ),
    },
    "AWS::EC2::Subnet": {"Ipv6CidrBlock": ("ec2:*SubnetCidrBlock",)},
    "AWS::EC2::VPC": {
        "InstanceTenancy": ("ec2:ModifyVpcTenancy",),
        "VpcEncryptionControl": ("ec2:CreateVpcEncryptionControl",),
    },
    "AWS::EC2::VPCEndpoint": {
        "ServiceNetworkArn": ("vpc-lattice:*",),
        "ServiceRegion": ("vpce:*",),
    },
    "AWS::EC2::VPCGatewayAttachment": {"VpnGatewayId": ("ec2:AttachVpnGateway", "ec2:DetachVpnGateway")},
    "AWS::ECR::Repository": {"RepositoryPolicyText": ("ecr:SetRepositoryPolicy", "ecr:DeleteRepositoryPolicy")},
    "AWS::ECS::Cluster": {
        "CapacityProviders": ("ecs:PutClusterCapacityProviders",),
        "Configuration": ("kms:*",),
    },
    "AWS::EFS::FileSystem": {
        "FileSystemProtection": ("elasticfilesystem:UpdateFileSystemProtection",),
        "KmsKeyId": ("kms:*",),
        "LifecyclePolicies": ("elasticfilesystem:PutLifecycleConfiguration",),
        "ReplicationConfiguration": (
            "elasticfilesystem:CreateReplication*",
            "elasticfilesystem:DeleteReplication*",
            "iam:PassRole",
        ),
    },
    "AWS::IAM::Role": {
        "ManagedPolicyArns": ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
        "PermissionsBoundary": ("iam:*RolePermissionsBoundary",),
    },
    "AWS::Logs::LogGroup": {
        "BearerTokenAuthenticationEnabled": ("logs:PutBearerTokenAuthentication",),
        "DataProtectionPolicy": ("logs:PutDataProtectionPolicy", "logs:CreateLogDelivery", "firehose:*", "s3:*"),
        "DeletionProtectionEnabled": ("logs:PutLogGroupDeletionProtection",),
        "FieldIndexPolicies": ("logs:PutIndexPolicy", "logs:DeleteIndexPolicy"),
        "KmsKeyId": ("logs:AssociateKmsKey", "logs:DisassociateKmsKey"),
        "ResourcePolicyDocument": ("logs:PutResourcePolicy", "logs:DeleteResourcePolicy"),
    },
    "AWS::S3::Bucket": {
        "AbacStatus": ("s3:PutBucketAbac",),
        "AccelerateConfiguration": ("s3:PutAccelerate*",),
        "AccessControl": ("s3:PutBucketAcl", "s3:PutObjectAcl"),
        "AnalyticsConfigurations": ("s3:PutAnalytics*", "s3:DeleteBucketAnalytics*"),
        "CorsConfiguration": ("s3:PutBucketCORS", "s3:DeleteBucketCors"),
        "IntelligentTieringConfigurations": ("s3:PutIntelligentTiering*",),
        "InventoryConfigurations": ("s3:PutInventory*",),
        "LoggingConfiguration": ("s3:PutBucketLogging",),
        "MetadataTableConfiguration": ("s3:[!G]*BucketMetadata*", "s3tables:*"),
        "MetricsConfigurations": ("s3:PutMetrics*", "s3:DeleteBucketMetrics*"),
        "NotificationConfiguration": ("s3:PutBucketNotification",),
        "ObjectLockConfiguration": ("s3:Put*ObjectLock*",),
        "ReplicationConfiguration": ("s3:Put*Replication*", "s3:DeleteBucketReplication", "iam:PassRole"),
        "VersioningConfiguration": ("s3:PutBucketVersioning",),
        "WebsiteConfiguration": ("s3:PutBucketWebsite", "s3:DeleteBucketWebsite"),
    },
}
"""What the schemas list for properties that the template doesn't set, by resource type and property."""

LEFT_OUT = {
    "managed-fleets:*": "no actions that IAM knows",
    "s3:DeleteBucketEncryption": "no action that IAM knows: it is s3:PutEncryptionConfiguration",
    "s3:DeleteBucketLifecycle": "no action that IAM knows: it is s3:PutLifecycleConfiguration",
    "ecs:PutAccountSetting*": "a cluster's own settings are changed without them",
    "ec2:Get*": "for machine images and templates by alias; would open what consoles print and Windows passwords",
    "ssm:Get*": "for machine images by alias; would open the account's parameters: the one that is needed is named",
    "kms:*": "keys that AWS owns or manages, which the services use without the user's doing",
    "s3:DeleteObject": "the commands empty the bucket",
    "elasticfilesystem:DeleteTags": "superseded by elasticfilesystem:UntagResource",
}
"""What the schemas list beside, and why it isn't given."""


def of_the_stack() -> dict[str, set[str]]:
    """The actions that creating, updating and deleting a stack of either track needs, by resource type.

    They are those of the handlers in the resource types' schemas, as AWS publishes them and cfn-lint carries them.
    Raises ValueError where the template sets a property that the table of unused ones has.
    """
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    needs: dict[str, set[str]] = {}
    for kind, used in _used_properties().items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
        handlers = schema["handlers"]
        found = {
            action
            for handler in ("create", "read", "update", "delete")
            for action in handlers.get(handler, {}).get("permissions", ())
        }
        unused = _UNUSED_PROPERTIES.get(kind, {})
        if set(unused) & used:
            raise ValueError(f"{kind}: the template now sets {set(unused) & used}, which tools/needs.py calls unused")
        patterns = [*(pattern for some in unused.values() for pattern in some), *LEFT_OUT]
        needs[kind] = {action for action in found if not _matches(action, patterns)}
    for what, some in _BESIDE_HANDLERS.items():
        needs.setdefault(what, set()).update(some)
    return needs


def _used_properties() -> dict[str, set[str]]:
    """The names of the properties that the template sets on either track, by resource type."""
    used: dict[str, set[str]] = {}
    for track in TRACKS.values():
        document: dict[str, Any] = read(render(PROJECT, track, [f"{REGION}a"]))
        for resource in document["Resources"].values():
            used.setdefault(resource["Type"], set()).update(resource.get("Properties", {}), resource)
    return dict(sorted(used.items()))


def _matches(action: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in patterns)


def covered(needed: Iterable[str]) -> Sequence[str]:
    """The actions, sorted, without those that another one with a `*` covers."""
    everything = sorted(set(needed))
    wide = [action for action in everything if "*" in action]
    return [action for action in everything if not _matches(action, [other for other in wide if other != action])]
