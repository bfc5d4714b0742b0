"""What makes botocore talk to a local cloud, and to nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ACCESS_KEY = "LOCALCLOUD"
_ADDRESS = "127.0.0.1"
CONFIG_FILE = Path(__file__).with_name("aws-config")
"""With a profile that sets nothing: an AWS_PROFILE must name one that exists."""


def aws_environment(endpoint: str, region: str) -> dict[str, str]:
    """The variables that a process needs which has none of the user's."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": _ADDRESS,
        "no_proxy": _ADDRESS,
    }


def overriding(endpoint: str, region: str, present: Mapping[str, str]) -> dict[str, str]:
    """The variables to set on top of those `present`: whatever of them would lead botocore elsewhere is overridden."""
    variables = {**aws_environment(endpoint, region), "AWS_CONFIG_FILE": str(CONFIG_FILE)}
    variables |= {name: endpoint for name in present if name.startswith("AWS_ENDPOINT_URL_")}
    variables |= dict.fromkeys(("AWS_PROFILE", "AWS_DEFAULT_PROFILE"), "default")
    variables |= {name: "" for name in ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN") if name in present}
    unwanted = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
    variables |= {name: "false" for name in unwanted if name in present}
    for name in ("NO_PROXY", "no_proxy"):
        others = present.get(name, "")
        variables[name] = f"{others},{_ADDRESS}" if others else _ADDRESS
    return variables
