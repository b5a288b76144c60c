# SPDX-License-Identifier: Apache-2.0
"""AWS's own policies are there to be attached.

https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
"""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from .conftest import LocalRegion

MONITORING = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"


def test_a_policy_of_aws_can_be_attached_and_read(local: LocalRegion) -> None:
    iam = local.client("iam")
    iam.create_role(RoleName="monitoring", AssumeRolePolicyDocument="{}")
    iam.attach_role_policy(RoleName="monitoring", PolicyArn=MONITORING)
    attached = iam.list_attached_role_policies(RoleName="monitoring")["AttachedPolicies"]
    assert attached == [{"PolicyName": "AmazonRDSEnhancedMonitoringRole", "PolicyArn": MONITORING}]
    policy = iam.get_policy(PolicyArn=MONITORING)["Policy"]
    assert (policy["Arn"], policy["AttachmentCount"]) == (MONITORING, 1)
    version = iam.get_policy_version(PolicyArn=MONITORING, VersionId=policy["DefaultVersionId"])
    assert version["PolicyVersion"]["Document"]["Statement"][0]["Effect"] == "Allow"
    iam.detach_role_policy(RoleName="monitoring", PolicyArn=MONITORING)
    assert iam.list_attached_role_policies(RoleName="monitoring")["AttachedPolicies"] == []


@pytest.mark.parametrize("path", ["NoSuchPolicy", "service-role/AdministratorAccess"])
def test_a_policy_that_aws_does_not_have_is_not_found(local: LocalRegion, path: str) -> None:
    iam = local.client("iam")
    iam.create_role(RoleName="monitoring", AssumeRolePolicyDocument="{}")
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.attach_role_policy(RoleName="monitoring", PolicyArn=f"arn:aws:iam::aws:policy/{path}")
