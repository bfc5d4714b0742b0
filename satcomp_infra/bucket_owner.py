"""Talking to one's own buckets only: a bucket's name is no proof of whose it is.

Whoever creates a bucket first has its name, in all of S3. Where a bucket of the project's name is another account's,
its problems and results must not go there: S3 refuses a call that says whose the bucket has to be (the parameter
ExpectedBucketOwner) where it isn't. Commands and nodes share this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_s3 import S3Client

ANOTHERS = "belongs to another account"
"""Is in the message of a call that S3 has refused, perhaps for that reason."""

_KEY = "satcomp_expected_owner"


def expect_owner(client: S3Client, owner_of: Callable[[str], str]) -> None:
    """Make each call of the client say whose its bucket must be.

    `owner_of` gives the account's number for a bucket's name; an empty one is for buckets that may be anybody's. It is
    done for all calls at once, so that none is forgotten. Refused calls raise ClientError, AccessDenied, as S3 has it;
    the message then names the bucket.
    """

    def add(params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        takes_it = model.input_shape and "ExpectedBucketOwner" in model.input_shape.members
        owner = owner_of(params["Bucket"]) if takes_it else ""
        if owner:
            params["ExpectedBucketOwner"] = owner
            context[_KEY] = f"bucket {params['Bucket']} {ANOTHERS} than {owner}"

    def explain(http_response: Any, parsed: dict[str, Any], context: Mapping[str, Any], **_: Any) -> None:
        error = parsed.get("Error")
        # S3 says who lacks which permission, but only within an account: whatever else is refused, it gives no reason.
        if (
            http_response.status_code == 403
            and _KEY in context
            and error
            and "not authorized" not in error.get("Message", "")
        ):
            error["Message"] = f"either the permission is missing, or {context[_KEY]}"

    client.meta.events.register("before-parameter-build.s3", add)
    client.meta.events.register("after-call.s3", explain)
