"""The solver images in the project's repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

    from .aws import Aws

_BATCH = 100
"""Images that one call can delete (ECR's service model)."""


def tags(aws: Aws, repository: str) -> set[str]:
    """The tags in the repository; none where there is no such repository."""
    return {tag for identifier in _identifiers(aws, repository) if (tag := identifier.get("imageTag"))}


def exists(aws: Aws, repository: str) -> bool:
    """Whether there is such a repository."""
    client = aws.ecr
    try:
        client.describe_repositories(repositoryNames=[repository])
    except client.exceptions.RepositoryNotFoundException:
        return False
    return True


def delete_all(aws: Aws, repository: str) -> int:
    """Delete all images, tagged or not; returns how many names and digests there were. No repository: nothing to do."""
    identifiers = _identifiers(aws, repository)
    for start in range(0, len(identifiers), _BATCH):
        aws.ecr.batch_delete_image(
            repositoryName=repository,
            imageIds=identifiers[start : start + _BATCH],
        )
    return len(identifiers)


def _identifiers(aws: Aws, repository: str) -> list[ImageIdentifierTypeDef]:
    from botocore.exceptions import ClientError

    try:
        pages = aws.ecr.get_paginator("list_images").paginate(repositoryName=repository)
        return [image for page in pages for image in page["imageIds"]]
    except ClientError as error:
        if error_code(error) == "RepositoryNotFoundException":
            return []
        raise
