"""What all tests share: nothing of the developer's own AWS configuration, and an AWS account in moto."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from moto.ec2.models.route_tables import RouteTable

ACCOUNT = "123456789012"  # moto's
REGION = "us-east-1"


@pytest.fixture(scope="session", autouse=True)
def service_models_are_read_once() -> Iterator[None]:
    """botocore parses its service models anew for each session: half a second for every command that a test runs."""
    from botocore.loaders import JSONFileLoader

    read = lru_cache(maxsize=None)(JSONFileLoader().load_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: read(path))
        yield


@pytest.fixture(autouse=True)
def sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test can reach AWS, or read how the developer does."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",  # of no use here, and slow to load
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty account in moto, in this process."""
    from moto import mock_aws
    from moto.autoscaling.responses import AutoScalingResponse
    from moto.core.responses import ActionResult
    from moto.ec2.models.route_tables import RouteTable
    from moto.servicequotas.models import ServiceQuotasBackend

    def delete(self: RouteTable, account_id: str, region_name: str) -> None:
        self._associations.clear()
        self.ec2_backend.delete_route_table(self.id)

    # moto's CloudFormation leaves route tables behind, and then can't delete their network.
    monkeypatch.setattr(RouteTable, "delete", delete, raising=False)
    # moto has no scaling activities.
    nothing = ActionResult({"Activities": []})
    monkeypatch.setattr(AutoScalingResponse, "describe_scaling_activities", lambda _: nothing, raising=False)
    # moto knows the quotas of networks alone.
    monkeypatch.setattr(ServiceQuotasBackend, "get_service_quota", lambda *_, **__: {"QuotaCode": "", "Value": 640.0})
    with mock_aws():
        yield
