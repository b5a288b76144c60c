# SPDX-License-Identifier: Apache-2.0
"""Two simulated regions with one seed answer the same calls byte for byte, headers and all."""

from __future__ import annotations

import json
from typing import Any

from .simulated_world import Client, simulated

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def story(seed: int) -> list[object]:
    """Call every service there is to call, and return all that was heard."""
    for client in simulated(seed):
        client.page("GET", "clock")
        arn = balancer(client)
        fleet(client, arn)
        stores(client)
        messages(client)
        stack(client)
        client.page("GET", "faults")
        return client.heard
    raise AssertionError


def balancer(client: Client) -> str:
    elb = client.aws("elbv2")
    subnets = client.aws("ec2").describe_subnets()["Subnets"][:2]
    group = elb.create_target_group(Name="tg", Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"])
    arn = str(group["TargetGroups"][0]["TargetGroupArn"])
    made = elb.create_load_balancer(Name="lb", Subnets=[each["SubnetId"] for each in subnets])
    forward: Any = [{"Type": "forward", "TargetGroupArn": arn}]
    elb.create_listener(
        LoadBalancerArn=made["LoadBalancers"][0]["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=forward,
    )
    return arn


def fleet(client: Client, target_group: str) -> None:
    client.fault(kind="boot", distribution="uniform", low=20, high=60)
    client.fault(kind="launch", code="InsufficientInstanceCapacity", zone="us-east-1a", rate=0.5)
    client.fault(kind="unhealthy", rate=0.2)
    client.fault(kind="api", code="RequestLimitExceeded", service="ec2", operation="DescribeVpcs", rate=0.5)
    client.aws("ec2").create_key_pair(KeyName="e", KeyType="ed25519")
    client.group(6, TargetGroupARNs=[target_group], HealthCheckType="ELB", HealthCheckGracePeriod=30)
    for seconds in (0, 25, 15.5, 120):
        client.advance(seconds)
        client.aws("ec2").describe_instances()
        client.aws("ec2").describe_instance_status(IncludeAllInstances=True)
        client.aws("autoscaling").describe_auto_scaling_groups()
        client.aws("autoscaling").describe_scaling_activities()
        client.aws("elbv2").describe_target_health(TargetGroupArn=target_group)


def stores(client: Client) -> None:
    s3 = client.aws("s3")
    s3.create_bucket(Bucket="files")
    s3.put_bucket_versioning(Bucket="files", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="files", Key="x", Body=b"1")
    s3.create_multipart_upload(Bucket="files", Key="y")
    s3.list_object_versions(Bucket="files")
    client.aws("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    client.aws("iam").list_roles()
    key = client.aws("kms").create_key()["KeyMetadata"]["KeyId"]
    client.aws("kms").generate_data_key(KeyId=key, KeySpec="AES_256")
    client.aws("secretsmanager").create_secret(Name="s", SecretString="x", ClientRequestToken="0" * 32)
    client.aws("ssm").put_parameter(Name="p", Value="v", Type="String")
    client.aws("ssm").get_parameter(Name="p")


def messages(client: Client) -> None:
    url = client.aws("sqs").create_queue(QueueName="q")["QueueUrl"]
    topic = client.aws("sns").create_topic(Name="n")["TopicArn"]
    client.aws("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:q"
    )
    client.aws("sns").publish(TopicArn=topic, Message="hello")
    client.aws("sqs").receive_message(QueueUrl=url, AttributeNames=["All"])


def stack(client: Client) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
    vpc = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.9.0.0/16"}}
    subnet = {
        "Type": "AWS::EC2::Subnet",
        "Properties": {"VpcId": {"Ref": "V"}, "CidrBlock": "10.9.1.0/24"},
    }
    resources = {
        "Q": {"Type": "AWS::SQS::Queue"},
        "T": {"Type": "AWS::SNS::Topic"},
        "B": {"Type": "AWS::S3::Bucket"},
        "R": role,
        "V": vpc,
        "S": subnet,
    }
    stacks = client.aws("cloudformation")
    stacks.create_stack(
        StackName="s", TemplateBody=json.dumps({"Resources": resources}), Capabilities=["CAPABILITY_IAM"]
    )
    client.advance(30)
    stacks.describe_stacks(StackName="s")
    stacks.describe_stack_events(StackName="s")
    stacks.delete_stack(StackName="s")
    client.advance(30)
    stacks.list_stacks()


def test_one_seed_is_one_story_and_another_seed_another() -> None:
    first, second, other = story(7), story(7), story(8)
    assert len(first) > 60
    for heard, again in zip(first, second, strict=True):
        assert heard == again
    assert other != first
