# SPDX-License-Identifier: Apache-2.0
"""What a fleet's machines are: who they are for AWS (a role), and how they are launched (a launch template).

A machine may do what its class needs in its environment: read the parameters of its class and which release
to run, fetch that release, publish the host keys it made, and answer the hooks of its own group. Balanced
fleets put uploads and jobs; fleets behind the queue take jobs and read content. Nothing more.
"""

from __future__ import annotations

from typing import Any

from troposphere import Base64, GetAtt, Ref, Sub, Tags, ec2, iam

from orchestrator.config.fleets import Fleet
from stacks.inputs import EnvironmentInputs
from stacks.parts import skip_checks
from stacks.policies import arn, asset_arn, parameter_arn, role_path, use_key, use_key_for_parameters
from stacks.policy import Statement, allow, document, service, trust
from stacks.stack import EnvironmentStack, NetworkStack, logical, output

ROOT_DEVICE = "/dev/xvda"  # of Debian's images
DATABASE_CLIENT = "DatabaseClientSecurityGroup"


def group_name(environment: str, fleet: str) -> str:
    """Return the name of a fleet's Auto Scaling group, fixed so that its machines' role can name it."""
    return f"slipway-{environment}-{fleet}"


def database_user(environment: str, server_class: str) -> str:
    """Return the database user of a class, who logs in by IAM: environments may share the cluster."""
    return f"{environment}_{server_class}"


def tags(inputs: EnvironmentInputs, name: str) -> dict[str, str]:
    """Return the tags of everything that belongs to a fleet's machines."""
    environment = inputs.environment.name
    return {
        "Name": f"{environment}-{name}",
        "slipway:environment": environment,
        "slipway:fleet": name,
    }


def reaches_database(inputs: EnvironmentInputs, fleet: Fleet) -> bool:
    """Tell whether a fleet's machines reach a database: it wants to, and the network has one."""
    return fleet.uses_database and inputs.network.network.database is not None


def role(inputs: EnvironmentInputs, name: str) -> iam.Role:
    """Return the role of a fleet's machines."""
    return iam.Role(
        f"{logical(name)}Role",
        Path=role_path(inputs.environment),
        AssumeRolePolicyDocument=trust(service("ec2")),
        Policies=[iam.Policy(PolicyName="machine", PolicyDocument=document(*_statements(inputs, name)))],
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


def _statements(inputs: EnvironmentInputs, name: str) -> list[Statement]:
    fleet = inputs.environment.fleets[name]
    statements = [*_start_statements(inputs, name, fleet), *_key_statements(inputs, fleet)]
    if fleet.uses_queue:
        statements += _asking_statements(inputs) if fleet.is_balanced else _working_statements(inputs)
    if reaches_database(inputs, fleet):
        statements.append(_login_statement(inputs, fleet))
    return statements


def _start_statements(inputs: EnvironmentInputs, name: str, fleet: Fleet) -> list[Statement]:
    environment = inputs.environment
    group = group_name(environment.name, name)
    return [
        allow(
            ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
            [
                parameter_arn(environment, fleet.server_class),
                parameter_arn(environment, f"{fleet.server_class}/*"),
            ],
        ),
        allow(["ssm:GetParameter"], [parameter_arn(environment, "*/release")]),
        # Host keys are published once. Nobody who takes over a machine can put his in another's place.
        # https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policy-conditions.html
        allow(
            ["ssm:PutParameter"],
            [parameter_arn(environment, f"host-keys/{name}/*")],
            condition={"StringNotEquals": {"ssm:Overwrite": "true"}},
        ),
        allow(["s3:GetObject"], [asset_arn(environment, "bundles", "*")]),
        allow(
            ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
            [arn(environment, "autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{group}")],
        ),
    ]


def _key_statements(inputs: EnvironmentInputs, fleet: Fleet) -> list[Statement]:
    key_arn = _security(inputs, "DataKeyArn")
    statements = [use_key_for_parameters(key_arn, inputs.environment, [f"{fleet.server_class}/*"])]
    if fleet.uses_queue:
        statements.append(use_key(key_arn, inputs.environment, ["s3", "sqs", "sns"]))
    return statements


def _asking_statements(inputs: EnvironmentInputs) -> list[Statement]:
    return [
        allow(["s3:PutObject"], [asset_arn(inputs.environment, "uploads", "*")]),
        allow(["sqs:GetQueueUrl", "sqs:SendMessage"], [_queues(inputs, "JobsQueueArn")]),
        _publish_statement(inputs),
    ]


def _working_statements(inputs: EnvironmentInputs) -> list[Statement]:
    return [
        allow(["s3:GetObject"], [asset_arn(inputs.environment, "content", "*")]),
        allow(
            [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ReceiveMessage",
            ],
            [_queues(inputs, "JobsQueueArn")],
        ),
        _publish_statement(inputs),
    ]


def _publish_statement(inputs: EnvironmentInputs) -> Statement:
    return allow(["sns:Publish"], [_queues(inputs, "EventsTopicArn")])


def _login_statement(inputs: EnvironmentInputs, fleet: Fleet) -> Statement:
    """Let machines log in to the database with a token instead of a password.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
    """
    user = database_user(inputs.environment.name, fleet.server_class)
    cluster = output(inputs.network.name, NetworkStack.DATABASE, "ClusterResourceId")
    return allow(
        ["rds-db:connect"],
        [Sub(arn(inputs.environment, "rds-db", f"dbuser:${{Cluster}}/{user}"), Cluster=cluster)],
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


def _queues(inputs: EnvironmentInputs, name: str) -> Any:
    return output(inputs.environment.name, EnvironmentStack.QUEUES, name)
