"""The infrastructure's template: what it must have, and what it must never have."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from satcomp_infra import template
from satcomp_infra.errors import UsageError
from satcomp_infra.node.earlier_attempts import MOST_ATTEMPTS
from satcomp_infra.node.settings import Timing
from satcomp_infra.project import CLUSTER, PROJECT_TAG, Project
from satcomp_infra.template import BODY_LIMIT, read, render
from satcomp_infra.tracks import CLOUD, PARALLEL, Track

from .conftest import ACCOUNT, REGION

PROJECT = Project("team/solver_1")
ZONES = [f"us-east-1{letter}" for letter in "abcdef"]
BOTH_TRACKS = pytest.mark.parametrize("track", [CLOUD, PARALLEL], ids=lambda track: track.name)

OUTPUTS = [
    *("ProjectName", "SolverType", "InstanceType", "Zones", "SubnetIds", "VpcId", "BucketName"),
    *("JobQueueUrl", "ResultQueueUrl", "DeadLetterQueueUrl", "ClusterName", "LeaderServiceName"),
    *("WorkerServiceName", "AutoScalingGroupName", "RepositoryName", "RepositoryUri", "LeaderLogGroup"),
    *("WorkerLogGroup", "FileSystemId", "NodeManifestTable", "TaskEndTable"),
]

# No price by the hour: they cost nothing, or only what is stored in them or moved through them.
FREE_WHILE_IDLE = {
    "AWS::AutoScaling::AutoScalingGroup",
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
    "AWS::EC2::VPCEndpoint",  # gateway endpoints only: a test of its own
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


def rendered(track: Track = CLOUD, zones: list[str] | None = None, project: Project = PROJECT) -> dict[str, Any]:
    """The template as CloudFormation reads it. Not to be changed: tests share it."""
    return _rendered(track, tuple(zones or ZONES[:2]), project)


@lru_cache
def _rendered(track: Track, zones: tuple[str, ...], project: Project) -> dict[str, Any]:
    return read(render(project, track, zones))


def of_type(document: dict[str, Any], resource_type: str) -> dict[str, dict[str, Any]]:
    """The properties of all resources of a type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in document["Resources"].items()
        if resource["Type"] == resource_type
    }


def only(document: dict[str, Any], resource_type: str) -> dict[str, Any]:
    (properties,) = of_type(document, resource_type).values()
    return properties


def containers(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The container definitions, by name."""
    tasks = of_type(document, "AWS::ECS::TaskDefinition").values()
    return {container["Name"]: container for task in tasks for container in task["ContainerDefinitions"]}


def user_data(document: dict[str, Any]) -> str:
    data = only(document, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]
    script: str = data["UserData"]["Fn::Base64"]["Fn::Sub"]
    return script


def statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for policy in role["Policies"] for one in policy["PolicyDocument"]["Statement"]]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ---- Money


@BOTH_TRACKS
def test_nothing_has_a_price_by_the_hour(track: Track) -> None:
    types = {resource["Type"] for resource in rendered(track)["Resources"].values()}
    assert types <= FREE_WHILE_IDLE


def test_endpoints_are_the_free_ones_for_s3_and_dynamodb() -> None:
    endpoints = of_type(rendered(), "AWS::EC2::VPCEndpoint").values()
    assert {endpoint["VpcEndpointType"] for endpoint in endpoints} == {"Gateway"}
    assert {endpoint["ServiceName"]["Fn::Sub"].rsplit(".", 1)[1] for endpoint in endpoints} == {"s3", "dynamodb"}


@BOTH_TRACKS
def test_no_machine_and_no_task_runs_after_creation_and_updates_start_none(track: Track) -> None:
    document = rendered(track)
    group = only(document, "AWS::AutoScaling::AutoScalingGroup")
    assert (group["MinSize"], group["MaxSize"]) == ("0", "1001")
    assert "DesiredCapacity" not in group
    services = of_type(document, "AWS::ECS::Service")
    assert {name: service["DesiredCount"] for name, service in services.items()} == {
        "SolverLeaderService": 0,
        "SolverWorkerService": 0,
    }


def test_what_is_paid_for_by_use_is_off() -> None:
    document = rendered()
    assert only(document, "AWS::ECS::Cluster")["ClusterSettings"] == [
        {"Name": "containerInsights", "Value": "disabled"}
    ]
    assert only(document, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["Monitoring"] == {"Enabled": False}
    assert only(document, "AWS::EFS::FileSystem")["BackupPolicy"] == {"Status": "DISABLED"}
    assert {table["BillingMode"] for table in of_type(document, "AWS::DynamoDB::Table").values()} == {"PAY_PER_REQUEST"}


def test_nothing_is_kept_when_the_stack_goes() -> None:
    document = rendered()
    assert not [name for name, resource in document["Resources"].items() if "DeletionPolicy" in resource]
    assert only(document, "AWS::ECR::Repository")["EmptyOnDelete"] is True
    lifecycle = only(document, "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    assert any("AbortIncompleteMultipartUpload" in rule for rule in lifecycle)
    assert {group["RetentionInDays"] for group in of_type(document, "AWS::Logs::LogGroup").values()} == {30}


# ---- Tasks and services


@BOTH_TRACKS
@pytest.mark.parametrize("role", ["leader", "worker"])
def test_a_container_gets_the_whole_machine_of_its_track(track: Track, role: str) -> None:
    container = containers(rendered(track))[role]
    assert container["Memory"] == track.container_memory < track.registered_memory
    assert container["Cpu"] == track.vcpus * 1024
    assert container["LinuxParameters"] == {"SharedMemorySize": 32768, "InitProcessEnabled": True}
    assert container["LinuxParameters"]["SharedMemorySize"] < container["Memory"]
    assert {limit["Name"] for limit in container["Ulimits"]} >= {"nofile", "memlock", "stack"}


@BOTH_TRACKS
def test_tasks_use_the_machines_network_and_map_no_port(track: Track) -> None:
    document = rendered(track)
    for task in of_type(document, "AWS::ECS::TaskDefinition").values():
        assert task["NetworkMode"] == "host"
        assert task["RequiresCompatibilities"] == ["EC2"]
        assert "ExecutionRoleArn" not in task
    assert "PortMappings" not in {key for container in containers(document).values() for key in container}


def test_a_pushed_image_is_what_the_next_task_starts() -> None:
    for name, container in containers(rendered()).items():
        assert container["Image"] == {"Fn::Sub": f"${{Repository.RepositoryUri}}:{name}"}
        assert container["VersionConsistency"] == "disabled"


def test_nodes_of_the_cloud_track_share_the_file_system_by_its_access_point() -> None:
    document = rendered(CLOUD)
    for task in of_type(document, "AWS::ECS::TaskDefinition").values():
        (volume,) = task["Volumes"]
        efs = volume["EFSVolumeConfiguration"]
        assert efs["FilesystemId"] == {"Ref": "FileSystem"}
        assert efs["TransitEncryption"] == "ENABLED"
        assert efs["AuthorizationConfig"] == {"AccessPointId": {"Ref": "FileSystemAccess"}, "IAM": "ENABLED"}
        assert "RootDirectory" not in efs
        (mount,) = task["ContainerDefinitions"][0]["MountPoints"]
        assert mount == {"SourceVolume": volume["Name"], "ContainerPath": "/mount/efs"}


def test_nodes_of_the_parallel_track_use_their_own_disk_at_the_same_place() -> None:
    document = rendered(PARALLEL)
    for task in of_type(document, "AWS::ECS::TaskDefinition").values():
        (volume,) = task["Volumes"]
        assert "EFSVolumeConfiguration" not in volume
        assert f"install -d -o 1000 -g 1000 -m 0755 {volume['Host']['SourcePath']}\n" in user_data(document)
        (mount,) = task["ContainerDefinitions"][0]["MountPoints"]
        assert mount == {"SourceVolume": volume["Name"], "ContainerPath": "/mount/efs"}


def test_containers_have_the_environment_that_existing_images_read_and_the_account() -> None:
    for container in containers(rendered()).values():
        environment = {variable["Name"]: variable["Value"] for variable in container["Environment"]}
        assert environment == {
            "AWS_DEFAULT_REGION": {"Ref": "AWS::Region"},
            "SATCOMP_BUCKET_NAME": {"Ref": "Bucket"},
            "SATCOMP_ACCOUNT_ID": {"Ref": "AWS::AccountId"},
            "SQS_QUEUE_NAME": {"Fn::GetAtt": ["JobQueue", "QueueName"]},
            "SQS_OUTPUT_QUEUE_NAME": {"Fn::GetAtt": ["ResultQueue", "QueueName"]},
            "OMPI_MCA_btl_tcp_if_include": "10.0.0.0/16",
            "OMPI_MCA_oob_tcp_if_include": "10.0.0.0/16",
        }


def test_logs_wait_for_no_one() -> None:
    for name, container in containers(rendered()).items():
        assert container["LogConfiguration"]["LogDriver"] == "awslogs"
        options = container["LogConfiguration"]["Options"]
        assert options["mode"] == "non-blocking"
        assert options["awslogs-group"] == {"Ref": f"{name.capitalize()}LogGroup"}


@BOTH_TRACKS
def test_services_run_one_task_a_machine_and_never_move_one(track: Track) -> None:
    for service in of_type(rendered(track), "AWS::ECS::Service").values():
        assert service["LaunchType"] == "EC2"
        assert service["DeploymentConfiguration"] == {"MaximumPercent": 100, "MinimumHealthyPercent": 0}
        assert service["PlacementConstraints"] == [{"Type": "distinctInstance"}]
        assert service["AvailabilityZoneRebalancing"] == "DISABLED"


# ---- Machines


@BOTH_TRACKS
def test_machines_are_those_of_the_track_and_leave_nothing_behind(track: Track) -> None:
    data = only(rendered(track), "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]
    assert data["InstanceType"] == track.instance_type
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["InstanceInitiatedShutdownBehavior"] == "terminate"
    (disk,) = data["BlockDeviceMappings"]
    assert disk["DeviceName"] == "/dev/xvda"
    assert disk["Ebs"]["DeleteOnTermination"] is True
    assert disk["Ebs"]["Encrypted"] is True
    assert "KeyName" not in data
    tags = {tag["ResourceType"]: {t["Key"]: t["Value"] for t in tag["Tags"]} for tag in data["TagSpecifications"]}
    assert tags["instance"][PROJECT_TAG] == tags["volume"][PROJECT_TAG] == PROJECT.name


@BOTH_TRACKS
def test_user_data_is_shell_and_leaves_the_agent_to_start_by_itself(track: Track, tmp_path: Path) -> None:
    script = user_data(rendered(track))
    assert re.findall(r"\$\{.*?\}", script) == ["${Cluster}"]
    assert "start ecs" not in script
    file = tmp_path / "user-data"
    file.write_text(script.replace("${Cluster}", CLUSTER))
    subprocess.run(["bash", "-n", file], check=True)
    assert f"echo 'ECS_CLUSTER={CLUSTER}' >> /etc/ecs/ecs.config" in file.read_text()


def test_machines_may_be_in_all_zones_and_are_not_protected() -> None:
    document = rendered(zones=ZONES)
    group = only(document, "AWS::AutoScaling::AutoScalingGroup")
    assert len(group["VPCZoneIdentifier"]) == len(ZONES)
    assert "PlacementGroup" not in group
    assert "NewInstancesProtectedFromScaleIn" not in group
    assert all(tag["PropagateAtLaunch"] for tag in group["Tags"])


# ---- Who may do what


def test_only_nodes_reach_nodes() -> None:
    document = rendered()
    (group_id,) = of_type(document, "AWS::EC2::SecurityGroup")
    assert "SecurityGroupIngress" not in only(document, "AWS::EC2::SecurityGroup")
    ingress = only(document, "AWS::EC2::SecurityGroupIngress")
    assert ingress["GroupId"] == ingress["SourceSecurityGroupId"] == {"Fn::GetAtt": [group_id, "GroupId"]}
    assert not {"CidrIp", "CidrIpv6", "SourcePrefixListId"} & ingress.keys()


def test_the_task_role_names_what_it_may_touch_and_all_of_it_is_this_stacks() -> None:
    role = rendered()["Resources"]["TaskRole"]["Properties"]
    assert "ManagedPolicyArns" not in role
    for statement in statements(role):
        assert statement["Effect"] == "Allow"
        assert not [action for action in listed(statement["Action"]) if "*" in action]
        for resource in listed(statement["Resource"]):
            assert isinstance(resource, dict), "a literal, such as '*', is more than this stack's things"
            (function, value), *_ = resource.items()
            own = re.sub(r"\$\{AWS::\w+\}", "", value) if function == "Fn::Sub" else "${" + value[0] + "}"
            assert re.search(r"\$\{\w+", own), f"{resource} names nothing of this stack"


def test_nodes_delete_neither_problems_nor_results() -> None:
    role = rendered()["Resources"]["TaskRole"]["Properties"]
    actions = {action for statement in statements(role) for action in listed(statement["Action"])}
    assert not {action for action in actions if action.startswith("s3:Delete")}
    assert {"s3:GetObject", "s3:PutObject", "sqs:DeleteMessage", "sqs:SendMessage"} <= actions


def test_nodes_mount_the_file_system_only_by_its_access_point() -> None:
    role = rendered()["Resources"]["TaskRole"]["Properties"]
    (mount,) = [one for one in statements(role) if "elasticfilesystem:ClientMount" in one["Action"]]
    (condition,) = mount["Condition"]["ArnEquals"].items()
    assert condition[0] == "elasticfilesystem:AccessPointArn"
    assert condition[1]["Fn::Sub"].endswith("access-point/${FileSystemAccess}")


def test_what_is_stored_is_encrypted() -> None:
    document = rendered()
    assert all(queue["SqsManagedSseEnabled"] for queue in of_type(document, "AWS::SQS::Queue").values())
    assert only(document, "AWS::EFS::FileSystem")["Encrypted"] is True
    assert "BucketEncryption" in only(document, "AWS::S3::Bucket")


# ---- Jobs


def test_a_job_comes_back_soon_and_is_offered_until_leaders_must_have_ended_it() -> None:
    queues = of_type(rendered(), "AWS::SQS::Queue")
    job_queue, dead_letters = queues["JobQueue"], queues["DeadLetterQueue"]
    assert job_queue["VisibilityTimeout"] == Timing().visibility <= 60  # that name no other
    redrive = job_queue["RedrivePolicy"]
    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
    pauses = [min(Timing().retry * 2**attempt, Timing().longest_retry) for attempt in range(redrive["maxReceiveCount"])]
    assert redrive["maxReceiveCount"] >= MOST_ATTEMPTS + 5
    assert sum(pauses) > 2 * 60 * 60  # in which AWS lets no result be stored
    assert {queue["MessageRetentionPeriod"] for queue in queues.values()} == {14 * 24 * 60 * 60}
    assert dead_letters["RedriveAllowPolicy"]["redrivePermission"] == "byQueue"
    (source,) = dead_letters["RedriveAllowPolicy"]["sourceQueueArns"]
    assert source["Fn::Sub"].endswith(":" + job_queue["QueueName"]["Fn::Sub"])


# ---- Names, zones, size


def test_no_role_has_a_name_so_that_capability_iam_is_enough() -> None:
    document = rendered()
    for properties in (
        *of_type(document, "AWS::IAM::Role").values(),
        *of_type(document, "AWS::IAM::InstanceProfile").values(),
    ):
        assert not {"RoleName", "InstanceProfileName"} & properties.keys()


@pytest.mark.parametrize("name", ["no", "on", "null", "yes", "true"])
def test_a_project_may_be_called_like_a_value_of_yaml(name: str) -> None:
    document = rendered(project=Project(name))
    assert document["Outputs"]["ProjectName"]["Value"] == name
    assert only(document, "AWS::ECR::Repository")["RepositoryName"] == name


@BOTH_TRACKS
def test_outputs_are_those_that_the_commands_read(track: Track) -> None:
    outputs = rendered(track)["Outputs"]
    assert list(outputs) == OUTPUTS
    for output in outputs.values():
        assert output["Description"]
        assert "Export" not in output


@BOTH_TRACKS
def test_the_longest_name_in_the_most_zones_fits_into_cloudformations_limit(track: Track) -> None:
    longest = Project("a" * 40)
    longest.names(ACCOUNT, REGION)
    assert len(render(longest, track, ZONES).encode()) < BODY_LIMIT


def test_the_order_of_the_zones_is_of_no_importance() -> None:
    assert render(PROJECT, CLOUD, ZONES[::-1]) == render(PROJECT, CLOUD, ZONES)


def test_each_zone_has_a_subnet_and_a_way_to_the_file_system() -> None:
    document = rendered(zones=ZONES)
    subnets = of_type(document, "AWS::EC2::Subnet")
    assert [subnet["AvailabilityZone"] for subnet in subnets.values()] == ZONES
    assert [subnet["CidrBlock"] for subnet in subnets.values()] == [f"10.0.{16 * i}.0/20" for i in range(6)]
    targets = of_type(document, "AWS::EFS::MountTarget").values()
    assert [target["SubnetId"]["Ref"] for target in targets] == list(subnets)
    assert document["Outputs"]["Zones"]["Value"] == ",".join(ZONES)
    separator, ids = document["Outputs"]["SubnetIds"]["Value"]["Fn::Join"]
    assert (separator, [one["Ref"] for one in ids]) == (",", list(subnets))


def test_a_zone_that_is_added_leaves_the_other_zones_subnets_alone() -> None:
    before = of_type(rendered(zones=["us-east-1a", "us-east-1f"]), "AWS::EC2::Subnet")
    after = of_type(rendered(zones=ZONES), "AWS::EC2::Subnet")
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("zones", "complaint"),
    [
        ([], "1 to 6 availability zones, not in 0"),
        ([f"us-east-1{letter}" for letter in "abcdefg"], "not in 7"),
        (["us-east-1a", "us-east-1a"], "may be named once"),
        (["us-east-1a", "eu-west-1b"], "several regions"),
        (["us-east-1"], "'us-east-1' is not the name of an availability zone"),
        (["us-west-2-lax-1a"], "not the name of an availability zone"),
    ],
)
def test_zones_that_cant_be_used_together_are_refused(zones: list[str], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        render(PROJECT, CLOUD, zones)


@BOTH_TRACKS
def test_neither_account_nor_region_is_written_in_the_template(track: Track) -> None:
    text = render(PROJECT, track, ZONES)
    assert not re.findall(r"\b\d{12}\b", text)
    assert REGION not in re.sub(r"us-east-1[a-f]\b", "", text)


def test_help_doesnt_wait_for_jinja() -> None:
    code = "import sys, satcomp_infra.template; sys.exit('jinja2' in sys.modules or 'boto3' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)


# ---- cfn-lint


def test_cfn_lint_has_nothing_to_say(tmp_path: Path) -> None:
    for track in (CLOUD, PARALLEL):
        for count in range(2, 7):
            (tmp_path / f"{track.name}-{count}.yaml").write_text(render(PROJECT, track, ZONES[:count]))
    # All files in one run: most of the time goes into reading the resource types' schemas.
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, cfnlint.runner; sys.exit(cfnlint.runner.main())",
            "--regions",
            REGION,
            "--",
            *sorted(tmp_path.iterdir()),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_no_rule_of_cfn_lint_is_off_without_a_reason() -> None:
    text = render(PROJECT, CLOUD, ZONES)
    ignored = rendered()["Metadata"]["cfn-lint"]["config"]["ignore_checks"]
    assert ignored
    for rule in ignored:
        assert re.search(rf"^ *# .+\n *- {rule}$", text, re.MULTILINE)


def test_the_template_is_found_beside_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert template.render(PROJECT, CLOUD, ZONES[:1])
