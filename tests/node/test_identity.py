"""Who a node is, where it runs, and how it is set up."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from satcomp_infra.errors import SatcompError
from satcomp_infra.node.identity import Identity, find_identity
from satcomp_infra.node.settings import Settings

from .nodes import Metadata

SET = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "SQS_QUEUE_NAME": "jobs",
    "SQS_OUTPUT_QUEUE_NAME": "results",
    "SATCOMP_BUCKET_NAME": "bucket",
}


def test_the_metadata_service_knows_address_and_instance(metadata: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # is not for this service
    endpoint = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.endpoint("10.0.1.38") + "/"}
    assert find_identity(endpoint) == Identity("10.0.1.38", "i-10.0.1.38")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "nonsense"])
def test_without_it_the_route_to_the_internet_does(endpoint: str) -> None:
    identity = find_identity({"AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoint})
    assert ipaddress.ip_address(identity.address).version == 4
    assert identity.instance == ""


def test_the_task_definitions_variables_are_read() -> None:
    settings = Settings.from_environment({**SET, "SATCOMP_SHARED_DIR": "/mnt"})
    assert (settings.region, settings.job_queue, settings.result_queue, settings.bucket) == (*SET.values(),)
    assert (settings.competition, settings.shared) == (Path("/competition"), Path("/mnt"))


@pytest.mark.parametrize("missing", SET)
def test_a_missing_variable_is_named(missing: str) -> None:
    with pytest.raises(SatcompError, match=f"without {missing} in"):
        Settings.from_environment({name: value for name, value in SET.items() if name != missing})
