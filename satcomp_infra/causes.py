"""What to do about the reasons for which CloudFormation fails most."""

from __future__ import annotations

import re

_ADVICE = {
    r"not authorized to perform|AccessDenied|UnauthorizedOperation": (
        "Your AWS user lacks a permission: use a profile that has it (--profile), or ask the account's administrator."
    ),
    r"maximum number of VPCs": (
        "The region has as many networks as the account may have: delete one that isn't used (VPC console), for "
        "example the default VPC, request more (Service Quotas, Amazon VPC, L-F678F1CE), or use another --region."
    ),
    r"maximum number of internet gateways": (
        "The region has as many internet gateways as the account may have: delete one that isn't used (VPC console), "
        "or use another --region."
    ),
    r"[Qq]ueue.*(deleted recently|wait 60 seconds)|QueueDeletedRecently": (
        "SQS wants a minute between deleting a queue and creating it again: wait that long."
    ),
    r"service.linked role": (
        "That role of the account is made when it is first used, which takes a moment: wait a minute."
    ),
    r"S3::Bucket.*(already|409)|BucketAlready": (
        "The bucket's name is taken: by what an earlier project left (aws s3 rb --force s3://NAME removes it), or by "
        "another account; then choose another project name."
    ),
    r"AlreadyExists|already exists": (
        "Something of that name is there already, of an earlier project or another tool: delete it in the console."
    ),
    r"[Ll]imit ?[Ee]xceeded|[Qq]uota|maximum number": (
        "The account has as many of these as it may have: delete one that isn't used, or request more (Service Quotas)."
    ),
    r"[Tt]hrottl|Rate exceeded|InternalFailure|ServiceUnavailable|Internal error": (
        "That passes by itself: wait a minute."
    ),
}


def advice(cause: str) -> str:
    """What to do about a failure, given the resource and AWS's reason as text; general words where that is unknown."""
    for pattern, words in _ADVICE.items():
        if re.search(pattern, cause):
            return f"{words} Then type the same command again."
    return "Mend that, and type the same command again."
