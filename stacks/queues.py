# SPDX-License-Identifier: Apache-2.0
"""Queues: the jobs of the environment, those that failed too often, and topics for alerts and for events.

Names are fixed, because a machine finds its queue by name and because policies can then name it.
"""

from __future__ import annotations

import hashlib
from typing import Any

from troposphere import GetAtt, Ref, Template, sns, sqs

from orchestrator.config.models import Environment
from stacks.inputs import EnvironmentInputs
from stacks.parts import add_outputs
from stacks.policies import arn, on_behalf_of
from stacks.policy import allow, document, only_over_tls, service
from stacks.stack import EnvironmentStack, NetworkStack, Stack, output, stack_name

# A worker that needs longer extends it with ChangeMessageVisibility.
VISIBILITY_S = 120
LONG_POLL_S = 20
JOB_DAYS = 4
DEAD_LETTER_DAYS = 14
MAX_RECEIVES = 5
# All that the policy of a topic can be about; SNS refuses `sns:*`.
# https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html
TOPIC_ACTIONS = (
    "sns:AddPermission",
    "sns:DeleteTopic",
    "sns:GetTopicAttributes",
    "sns:ListSubscriptionsByTopic",
    "sns:Publish",
    "sns:RemovePermission",
    "sns:SetTopicAttributes",
    "sns:Subscribe",
)
_DAY_S = 86400


def synthesise(inputs: EnvironmentInputs) -> Stack:
    """Return the stack of the environment's queues and topics."""
    environment = inputs.environment
    key_arn = output(inputs.network.name, NetworkStack.SECURITY, "DataKeyArn")
    template = Template(Description=f"The queues and topics of {environment.name}.")
    dead_letters = add_dead_letter_queue(
        template, environment, title="DeadLetterQueue", name=jobs_name(environment, "-dead"), key_arn=key_arn
    )
    jobs = _add_jobs(template, environment, dead_letters, key_arn)
    alerts = _add_alerts(template, environment, key_arn)
    events = _add_topic(template, environment, "events", key_arn=key_arn)
    add_outputs(
        template,
        {
            "JobsQueueUrl": Ref(jobs),
            "JobsQueueArn": GetAtt(jobs, "Arn"),
            "JobsQueueName": GetAtt(jobs, "QueueName"),
            "DeadLetterQueueArn": GetAtt(dead_letters, "Arn"),
            "DeadLetterQueueName": GetAtt(dead_letters, "QueueName"),
            "AlertsTopicArn": Ref(alerts),
            "EventsTopicArn": Ref(events),
        },
    )
    depends_on = (stack_name(inputs.network.name, NetworkStack.SECURITY),)
    return Stack(EnvironmentStack.QUEUES, environment.name, template, depends_on)


def jobs_name(environment: Environment, suffix: str = "") -> str:
    """Return the name of the job queue, or with a suffix of one that belongs to it."""
    return f"slipway-{environment.name}-jobs{suffix}"


def add_dead_letter_queue(
    template: Template, environment: Environment, *, title: str, name: str, key_arn: Any
) -> sqs.Queue:
    """Add a queue that keeps what failed as long as SQS can, for somebody to look at."""
    queue = sqs.Queue(
        title, QueueName=name, KmsMasterKeyId=key_arn, MessageRetentionPeriod=DEAD_LETTER_DAYS * _DAY_S
    )
    return _with_policy(template, environment, queue)


def _add_jobs(
    template: Template, environment: Environment, dead_letters: sqs.Queue, key_arn: Any
) -> sqs.Queue:
    queue = sqs.Queue(
        "JobsQueue",
        QueueName=jobs_name(environment),
        KmsMasterKeyId=key_arn,
        VisibilityTimeout=VISIBILITY_S,
        ReceiveMessageWaitTimeSeconds=LONG_POLL_S,
        MessageRetentionPeriod=JOB_DAYS * _DAY_S,
        RedrivePolicy=sqs.RedrivePolicy(
            deadLetterTargetArn=GetAtt(dead_letters, "Arn"), maxReceiveCount=MAX_RECEIVES
        ),
    )
    return _with_policy(template, environment, queue)


def _with_policy(template: Template, environment: Environment, queue: sqs.Queue) -> sqs.Queue:
    refuse_plain_text = only_over_tls(["sqs:*"], [arn(environment, "sqs", queue.QueueName)])
    template.add_resource(
        sqs.QueuePolicy(
            f"{queue.title}Policy", Queues=[Ref(queue)], PolicyDocument=document(refuse_plain_text)
        )
    )
    return template.add_resource(queue)


def _add_alerts(template: Template, environment: Environment, key_arn: Any) -> sns.Topic:
    """Add the topic for alarms and the budget, and the mail addresses that get them."""
    sources = {
        "cloudwatch": arn(environment, "cloudwatch", "alarm:*"),
        # Budgets belong to no region.
        "budgets": f"arn:aws:budgets::{environment.account_id}:*",
    }
    topic = _add_topic(template, environment, "alerts", key_arn=key_arn, sources=sources)
    for address in environment.alert_emails:
        # Named by the address itself, so that one that goes leaves the others alone.
        digest = hashlib.sha256(address.encode()).hexdigest()[:8]
        template.add_resource(
            sns.SubscriptionResource(f"Mail{digest}", TopicArn=Ref(topic), Protocol="email", Endpoint=address)
        )
    return topic


def _add_topic(
    template: Template,
    environment: Environment,
    purpose: str,
    *,
    key_arn: Any,
    sources: dict[str, str] | None = None,
) -> sns.Topic:
    name = f"slipway-{environment.name}-{purpose}"
    title = f"{purpose.capitalize()}Topic"
    topic_arn = arn(environment, "sns", name)
    publishers = [
        allow(
            ["sns:Publish"],
            [topic_arn],
            principal=service(publisher),
            condition=on_behalf_of(environment, source),
        )
        for publisher, source in (sources or {}).items()
    ]
    topic = template.add_resource(sns.Topic(title, TopicName=name, KmsMasterKeyId=key_arn))
    refuse_plain_text = only_over_tls(TOPIC_ACTIONS, [topic_arn])
    template.add_resource(
        sns.TopicPolicy(
            f"{title}Policy", Topics=[Ref(topic)], PolicyDocument=document(refuse_plain_text, *publishers)
        )
    )
    return topic
