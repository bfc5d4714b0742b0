"""What checkov and parliament look at: `python -m tools.rendering DIRECTORY` writes it.

`templates/` gets the template of each track, `policies/` each policy that is in them, as IAM would see it: with ARNs in
place of CloudFormation's functions, and with the resource that a policy hangs on where it names none.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from satcomp_infra.local.settings import ACCOUNT
from satcomp_infra.project import Project
from satcomp_infra.template import MAX_ZONES, read, render
from satcomp_infra.tracks import TRACKS

_REGION = "us-east-1"
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": _REGION,
    "AWS::URLSuffix": "amazonaws.com",
}
_HERE = f"{_REGION}:{ACCOUNT}"
# Of each type whose ARN or name a policy has: the property that is its name, and the form of its ARN.
_NAMED = {
    "AWS::DynamoDB::Table": ("TableName", f"arn:aws:dynamodb:{_HERE}:table/{{}}"),
    "AWS::ECR::Repository": ("RepositoryName", f"arn:aws:ecr:{_HERE}:repository/{{}}"),
    "AWS::ECS::Cluster": ("ClusterName", f"arn:aws:ecs:{_HERE}:cluster/{{}}"),
    "AWS::Logs::LogGroup": ("LogGroupName", f"arn:aws:logs:{_HERE}:log-group:{{}}:*"),
    "AWS::S3::Bucket": ("BucketName", "arn:aws:s3:::{}"),
    "AWS::SQS::Queue": ("QueueName", f"arn:aws:sqs:{_HERE}:{{}}"),
}
# Whose policies name no resource, because it is what they hang on.
_BEARERS = {
    "AWS::EFS::FileSystem": f"arn:aws:elasticfilesystem:{_HERE}:file-system/fs-0123456789abcdef0",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/some-role",
}
_IDS = {"AWS::EFS::FileSystem": "fs-0123456789abcdef0", "AWS::EFS::AccessPoint": "fsap-0123456789abcdef0"}


def write(directory: Path) -> None:
    """Write the templates and the policies."""
    for name in ("templates", "policies"):
        (directory / name).mkdir(parents=True, exist_ok=True)
        for old in (directory / name).iterdir():
            old.unlink()
    zones = [f"{_REGION}{letter}" for letter in "abcdef"[:MAX_ZONES]]
    for track in TRACKS.values():
        text = render(Project("team/solver_1"), track, zones)
        (directory / "templates" / f"{track.name}.yaml").write_text(text)
        for name, policy in policies(read(text)):
            (directory / "policies" / f"{track.name}-{name}.json").write_text(json.dumps(policy, indent=2))


def policies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each policy of a template, with a name made of the resource that has it and of where in it."""
    for name, resource in document["Resources"].items():
        for place, policy in _within(resource.get("Properties", {}), name):
            resolved = _Resolver(document).resolve(policy)
            for statement in resolved["Statement"]:
                statement.setdefault("Resource", _BEARERS.get(resource["Type"], "none"))
            yield place, resolved


def _within(value: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        if "Statement" in value:
            yield place, value
        for key, part in value.items():
            yield from _within(part, f"{place}-{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _within(part, f"{place}-{index}")


class _Resolver:
    """Puts in place of CloudFormation's functions what they could stand for."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._resources = document["Resources"]

    def resolve(self, value: Any) -> Any:
        """A value without functions. Raises KeyError where a resource's name or ARN isn't known."""
        if isinstance(value, list):
            return [self.resolve(part) for part in value]
        if not isinstance(value, dict):
            return value
        if "Ref" in value:
            return self._reference(value["Ref"])
        if "Fn::GetAtt" in value:
            return self._reference(".".join(value["Fn::GetAtt"]))
        if "Fn::Sub" in value:
            return re.sub(r"\$\{([^}]+)\}", lambda match: self._reference(match[1]), value["Fn::Sub"])
        return {key: self.resolve(part) for key, part in value.items()}

    def _reference(self, text: str) -> str:
        if text in _PSEUDO:
            return _PSEUDO[text]
        name, _, attribute = text.partition(".")
        resource = self._resources[name]
        kind = resource["Type"]
        if kind in _IDS and not attribute:
            return _IDS[kind]
        naming, form = _NAMED[kind]
        own = str(self.resolve(resource["Properties"][naming]))
        return form.format(own) if attribute == "Arn" else own


if __name__ == "__main__":
    write(Path(sys.argv[1]))
