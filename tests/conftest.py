"""What all tests share: nothing of the developer's own AWS configuration, and an AWS account in moto."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from moto.ec2.models.route_tables import RouteTable

ACCOUNT = "123456789012"  # moto's
REGION = "us-east-1"


@pytest.fixture(scope="session", autouse=True)
def service_models_are_read_once() -> Iterator[None]:
    """botocore looks for its service models, and parses them, anew for each session: most of a command's time here."""
    from botocore.loaders import JSONFileLoader, Loader

    read = lru_cache(maxsize=None)(JSONFileLoader().load_file)
    list_services = Loader.list_available_services
    services = lru_cache(maxsize=None)(lambda kind: list_services(Loader(), kind))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: read(path))
        patch.setattr(Loader, "list_available_services", lambda _, type_name: services(type_name))
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
    import yaml
    from moto import mock_aws
    from moto.autoscaling.responses import AutoScalingResponse
    from moto.cloudformation.models import Stack
    from moto.cloudformation.utils import yaml_tag_constructor
    from moto.core.responses import ActionResult
    from moto.ec2.models.route_tables import RouteTable
    from moto.servicequotas.models import ServiceQuotasBackend
    from moto.ssm import models as ssm

    def delete(self: RouteTable, account_id: str, region_name: str) -> None:
        self._associations.clear()
        self.ec2_backend.delete_route_table(self.id)

    def parse(template: str) -> Any:
        """As moto does it, but by the loader in C, which takes a tenth of the time."""
        loader = getattr(yaml, "CLoader", yaml.Loader)
        yaml.add_multi_constructor("", yaml_tag_constructor, Loader=loader)
        return yaml.load(template, Loader=loader)

    convert = ssm.convert_to_params
    monkeypatch.setattr(  # of the thousand parameters that name machine images, the one that the template asks for
        ssm,
        "convert_to_params",
        lambda tree: [p for p in convert(tree) if "amazon-linux-2023/recommended" in p["Name"]],
    )
    # moto's CloudFormation leaves route tables behind, and then can't delete their network.
    monkeypatch.setattr(RouteTable, "delete", delete, raising=False)
    # moto has no scaling activities.
    nothing = ActionResult({"Activities": []})
    monkeypatch.setattr(AutoScalingResponse, "describe_scaling_activities", lambda _: nothing, raising=False)
    # moto knows the quotas of networks alone.
    monkeypatch.setattr(ServiceQuotasBackend, "get_service_quota", lambda *_, **__: {"QuotaCode": "", "Value": 640.0})
    monkeypatch.setattr(Stack, "parse_template", staticmethod(parse))
    with mock_aws():
        yield
