"""What is said about the reasons for which CloudFormation fails most, in the words that AWS uses."""

import pytest

from satcomp_infra.causes import advice


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (
            "Vpc (AWS::EC2::VPC): The maximum number of VPCs has been reached. (Service: Ec2, Status Code: 400)",
            "delete one that isn't used (VPC console)",
        ),
        (
            "InternetGateway (AWS::EC2::InternetGateway): The maximum number of internet gateways has been reached",
            "internet gateways as the account may have",
        ),
        (
            "TaskRole (AWS::IAM::Role): User: arn:aws:iam::1:user/x is not authorized to perform: iam:CreateRole",
            "lacks a permission",
        ),
        ("Bucket (AWS::S3::Bucket): 1-x already exists (Service: S3, Status Code: 409)", "choose another project name"),
        ("Repository (AWS::ECR::Repository): Resource with identifier 'x' already exists", "delete it in the console"),
        ("JobQueue (AWS::SQS::Queue): You must wait 60 seconds after deleting a queue", "wait that long"),
        ("SolverLeaderService (AWS::ECS::Service): Unable to assume the service linked role.", "wait a minute"),
        ("TaskRole (AWS::IAM::Role): Cannot exceed quota for RolesPerAccount: 1000", "request more (Service Quotas)"),
        ("FileSystem (AWS::EFS::FileSystem): Rate exceeded", "That passes by itself"),
        ("Vpc (AWS::EC2::VPC): Something new", "Mend that"),
    ],
)
def test_a_known_cause_gets_advice(cause: str, said: str) -> None:
    assert said in advice(cause)
    assert "type the same command again" in advice(cause)
