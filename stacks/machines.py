# SPDX-License-Identifier: Apache-2.0
"""What a fleet's machines are: who they are for AWS (a role), and how they are launched (a launch template).

What they may do is in stacks/machine_access.py.
"""

from __future__ import annotations

from typing import Any

from troposphere import Base64, GetAtt, Ref, Tags, ec2, iam

from orchestrator.config.fleets import Fleet
from stacks import machine_access
from stacks.inputs import EnvironmentInputs
from stacks.machine_access import reaches_database
from stacks.parts import skip_checks
from stacks.policies import role_path
from stacks.policy import document, service, trust
from stacks.stack import NetworkStack, logical, output

ROOT_DEVICE = "/dev/xvda"  # of Debian's images
DATABASE_CLIENT = "DatabaseClientSecurityGroup"


def tags(inputs: EnvironmentInputs, name: str) -> dict[str, str]:
    """Return the tags of everything that belongs to a fleet's machines."""
    environment = inputs.environment.name
    return {
        "Name": f"{environment}-{name}",
        "slipway:environment": environment,
        "slipway:fleet": name,
    }


def role(inputs: EnvironmentInputs, name: str) -> iam.Role:
    """Return the role of a fleet's machines."""
    return iam.Role(
        f"{logical(name)}Role",
        Path=role_path(inputs.environment),
        AssumeRolePolicyDocument=trust(service("ec2")),
        Policies=[
            iam.Policy(
                PolicyName="machine", PolicyDocument=document(*machine_access.statements(inputs, name))
            )
        ],
    )


def profile(inputs: EnvironmentInputs, name: str) -> iam.InstanceProfile:
    """Return what gives the role to a machine."""
    title = logical(name)
    return iam.InstanceProfile(
        f"{title}Profile", Path=role_path(inputs.environment), Roles=[Ref(f"{title}Role")]
    )


def launch_template(inputs: EnvironmentInputs, name: str) -> ec2.LaunchTemplate:
    """Return the launch template of a fleet.

    Rollouts add versions of their own; the parameter with the AMI is read again only when something else of
    the template changes, so what a rollout did is never undone from here.
    """
    fleet = inputs.environment.fleets[name]
    data = ec2.LaunchTemplateData(
        ImageId=f"{{{{resolve:ssm:/slipway/{inputs.environment.name}/{name}/ami}}}}",
        InstanceType=fleet.instance_type,
        IamInstanceProfile=ec2.IamInstanceProfile(Arn=GetAtt(f"{logical(name)}Profile", "Arn")),
        MetadataOptions=ec2.MetadataOptions(
            HttpEndpoint="enabled",
            HttpTokens="required",
            HttpPutResponseHopLimit=1,
            InstanceMetadataTags="enabled",
        ),
        BlockDeviceMappings=[_root(inputs, fleet)],
        NetworkInterfaces=[_interface(inputs, name, fleet)],
        Monitoring=ec2.Monitoring(Enabled=True),
        TagSpecifications=_tag_specifications(inputs, name, "instance", "volume", "network-interface"),
        **_user_data(inputs, name),
    )
    return ec2.LaunchTemplate(
        f"{logical(name)}Template",
        LaunchTemplateData=data,
        TagSpecifications=_tag_specifications(inputs, name, "launch-template"),
        **_reasons(fleet),
    )


def _root(inputs: EnvironmentInputs, fleet: Fleet) -> ec2.LaunchTemplateBlockDeviceMapping:
    volume = ec2.EBSBlockDevice(
        VolumeType="gp3",
        VolumeSize=fleet.root_gib,
        Encrypted=inputs.environment.bake.encrypted_root,
        DeleteOnTermination=True,
    )
    return ec2.LaunchTemplateBlockDeviceMapping(DeviceName=ROOT_DEVICE, Ebs=volume)


def _interface(inputs: EnvironmentInputs, name: str, fleet: Fleet) -> ec2.NetworkInterfaces:
    groups = [_security(inputs, f"{logical(name)}SecurityGroup")]
    if reaches_database(inputs, fleet):
        groups.append(_security(inputs, DATABASE_CLIENT))
    return ec2.NetworkInterfaces(
        DeviceIndex=0,
        AssociatePublicIpAddress=fleet.is_public,
        DeleteOnTermination=True,
        Groups=groups,
    )


def _tag_specifications(inputs: EnvironmentInputs, name: str, *kinds: str) -> list[ec2.TagSpecifications]:
    return [ec2.TagSpecifications(ResourceType=kind, Tags=Tags(tags(inputs, name))) for kind in kinds]


def _user_data(inputs: EnvironmentInputs, name: str) -> dict[str, Any]:
    text = inputs.user_data.get(name)
    return {"UserData": Base64(text)} if text else {}


def _reasons(fleet: Fleet) -> dict[str, Any]:
    if not fleet.is_public:
        return {}
    reason = "The door to all other machines: its group admits ssh from the network's ssh_from only."
    return {"Metadata": skip_checks(CKV_AWS_88=reason)}


def _security(inputs: EnvironmentInputs, name: str) -> Any:
    return output(inputs.network.name, NetworkStack.SECURITY, name)
