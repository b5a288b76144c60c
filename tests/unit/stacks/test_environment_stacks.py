# SPDX-License-Identifier: Apache-2.0
"""What all stacks of environments have in common."""

from __future__ import annotations

import inspect

import pytest

from stacks.inputs import EnvironmentInputs
from stacks.stack import Stack
from tests.unit.stacks.environment_templates import (
    ENVIRONMENTS,
    MODULES,
    inputs,
    references,
    resolved,
    stack,
    template,
)

LIMIT = 51_200
OUTPUTS = {
    "state": {"ConfigBucketName", "BundlesBucketName", "LogsBucketName"},
    "queues": {
        "JobsQueueUrl",
        "JobsQueueArn",
        "JobsQueueName",
        "DeadLetterQueueArn",
        "DeadLetterQueueName",
        "AlertsTopicArn",
        "EventsTopicArn",
    },
    "functions": {"ImageVariantsArn", "ImageVariantsName", "ImageVariantsDeadLetterQueueName"},
    "storage": {"UploadsBucketName", "OriginalsBucketName", "ContentBucketName", "WebBucketName"},
    "cdn": {"DistributionId", "DistributionDomainName"},
    "access": {"OperatorsRoleArn", "CiRoleArn", "MonitoringRoleArn", "AuthorityArn"},
    "fleets": {
        "ApiGroupName",
        "ApiTemplateId",
        "BastionGroupName",
        "BastionTemplateId",
        "WorkerGroupName",
        "WorkerTemplateId",
    },
    "operations": set(),
}
# {n} is the network, {e} the environment.
DEPENDS_ON = {
    "state": (),
    "queues": ("slipway-{n}-security",),
    "functions": ("slipway-{n}-security", "slipway-{e}-state"),
    "storage": ("slipway-{n}-security", "slipway-{e}-state", "slipway-{e}-functions"),
    "cdn": ("slipway-{e}-storage",),
    "access": ("slipway-{n}-security", "slipway-{n}-database", "slipway-{n}-balancer"),
    "fleets": (
        "slipway-{n}-network",
        "slipway-{n}-security",
        "slipway-{n}-database",
        "slipway-{n}-balancer",
        "slipway-{e}-state",
        "slipway-{e}-queues",
        "slipway-{e}-storage",
        "slipway-{e}-access",
    ),
    "operations": (
        "slipway-{n}-balancer",
        "slipway-{e}-queues",
        "slipway-{e}-functions",
        "slipway-{e}-fleets",
    ),
}
EVERY_STACK = [(environment, kind) for environment in ENVIRONMENTS for kind in MODULES]


@pytest.mark.parametrize("kind", MODULES)
def test_a_module_says_what_its_stack_is_for_and_how_to_make_it(kind: str) -> None:
    assert inspect.getdoc(MODULES[kind])
    assert inspect.get_annotations(MODULES[kind].synthesise, eval_str=True) == {
        "inputs": EnvironmentInputs,
        "return": Stack,
    }


@pytest.mark.parametrize(("environment", "kind"), EVERY_STACK)
def test_a_template_fits(environment: str, kind: str) -> None:
    assert len(stack(environment, kind).body()) <= LIMIT


@pytest.mark.parametrize(("environment", "kind"), EVERY_STACK)
def test_a_template_is_the_same_each_time(environment: str, kind: str) -> None:
    again = MODULES[kind].synthesise(inputs(environment))
    assert again.body() == stack(environment, kind).body()


@pytest.mark.parametrize(("environment", "kind"), EVERY_STACK)
def test_a_stack_names_what_it_depends_on(environment: str, kind: str) -> None:
    network = inputs(environment).network.name
    wanted = tuple(name.format(n=network, e=environment) for name in DEPENDS_ON[kind])
    assert stack(environment, kind).depends_on == wanted


@pytest.mark.parametrize(("environment", "kind"), EVERY_STACK)
def test_a_stack_reads_only_what_it_depends_on(environment: str, kind: str) -> None:
    read = {name for name, _ in references(template(environment, kind))}
    assert read <= set(stack(environment, kind).depends_on)


@pytest.mark.parametrize(("environment", "kind"), EVERY_STACK)
def test_outputs_have_the_names_that_others_ask_for(environment: str, kind: str) -> None:
    outputs = template(environment, kind).get("Outputs", {})
    assert set(outputs) == OUTPUTS[kind]
    assert not [name for name, each in outputs.items() if "Export" in each]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_an_environment_reads_of_itself_is_there(environment: str) -> None:
    own = {stack(environment, kind).name: kind for kind in MODULES}
    read = {
        (own[name], output)
        for kind in MODULES
        for name, output in references(template(environment, kind))
        if name in own
    }
    assert read <= {(kind, name) for kind, names in OUTPUTS.items() for name in names}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_names_of_buckets_are_outputs_as_they_are(environment: str) -> None:
    found = {
        name: resolved(each["Value"]) for name, each in template(environment, "storage")["Outputs"].items()
    }
    assert found == {name: f"<{name.removesuffix('Name')}>" for name in OUTPUTS["storage"]}
