# SPDX-License-Identifier: Apache-2.0
"""Templates are read, and functions resolved, as AWS documents them.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.api.errors import AwsError
from sandbox.cloudformation import parameters
from sandbox.cloudformation.conditions import evaluate_conditions
from sandbox.cloudformation.differences import differences
from sandbox.cloudformation.graph import Reference, check_references, dependencies, in_order
from sandbox.cloudformation.intrinsics import KNOWN_AFTER_APPLY, Scope, Unresolvable
from sandbox.cloudformation.schemas import schema
from sandbox.cloudformation.template import BODY_LIMIT, Template, check_size, parse
from sandbox.cloudformation.validation import unsupported_paths

QUEUE = "AWS::SQS::Queue"
VALUES = {
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "123456789012",
    "Name": "api",
    "Zones": ["a", "b"],
    "Kind": "production",
}


NO_VALUE = {"Ref": "AWS::NoValue"}


class Outside:
    """What functions read from outside."""

    def zones(self, region: str) -> list[str]:
        """Return two zones."""
        return [f"{region}a", f"{region}b"]

    def export(self, name: str) -> str:
        """Return an export."""
        return f"export of {name}"

    def stack_output(self, stack_name: str, output: str) -> str:
        """Return an output."""
        return f"{output} of {stack_name}"


def template(resources: Mapping[str, Any] | None = None, **sections: Any) -> Template:
    """Return a template."""
    return parse(json.dumps({"Resources": resources or {"A": {"Type": QUEUE}}} | sections))


def resolve(value: Any, **conditions: bool) -> Any:
    """Resolve a value where resource `New` is still to be made and `Queue` is there."""

    def resource(reference: Reference) -> Any:
        if reference.name == "New":
            return KNOWN_AFTER_APPLY
        return {None: "queue-url", "Arn": "queue-arn", "Endpoint.Port": 3306}[reference.attribute]

    mappings = {"Sizes": {"production": {"Class": "large", "Count": 4}}}
    scope = Scope(template(Mappings=mappings), VALUES, conditions, resource, Outside())
    return scope.resolve(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Name"}, "api"),
        ({"Ref": "AWS::AccountId"}, "123456789012"),
        ({"Ref": "Queue"}, "queue-url"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "queue-arn"),
        ({"Fn::GetAtt": "Queue.Endpoint.Port"}, 3306),
        ({"Fn::GetAtt": ["Queue", "Endpoint.Port"]}, 3306),
        (
            {"Fn::Sub": "${Name}-${Queue.Arn}-${!Literal}-${AWS::Region}"},
            "api-queue-arn-${Literal}-us-east-1",
        ),
        ({"Fn::Sub": ["${Name}:${Port}", {"Port": {"Fn::GetAtt": "Queue.Endpoint.Port"}}]}, "api:3306"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Name"}, 1, True]]}, "a-api-1-true"),
        ({"Fn::Join": [",", {"Ref": "Zones"}]}, "a,b"),
        ({"Fn::Split": [",", "a,b,"]}, ["a", "b", ""]),
        ({"Fn::Select": ["1", {"Fn::Split": [",", "a,b"]}]}, "b"),
        ({"Fn::Select": [0, {"Fn::GetAZs": ""}]}, "us-east-1a"),
        ({"Fn::GetAZs": {"Ref": "AWS::Region"}}, ["us-east-1a", "us-east-1b"]),
        ({"Fn::Cidr": ["10.0.0.0/16", 2, 8]}, ["10.0.0.0/24", "10.0.1.0/24"]),
        ({"Fn::Base64": "hello"}, "aGVsbG8="),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Kind"}, "Class"]}, "large"),
        ({"Fn::FindInMap": ["Sizes", "test", "Class", {"DefaultValue": "small"}]}, "small"),
        ({"Fn::ImportValue": {"Fn::Sub": "${Name}-x"}}, "export of api-x"),
        ({"Fn::GetStackOutput": {"StackName": {"Ref": "Name"}, "OutputName": "Id"}}, "Id of api"),
        ({"Fn::Length": {"Ref": "Zones"}}, 2),
        ({"Fn::If": ["Yes", "a", "b"]}, "a"),
        ({"Fn::If": ["No", "a", {"Ref": "Name"}]}, "api"),
        (
            {"Gone": {"Ref": "AWS::NoValue"}, "Kept": [1, {"Fn::If": ["No", 2, {"Ref": "AWS::NoValue"}]}]},
            {"Kept": [1]},
        ),
        (
            {"Statement": [{"Condition": {"Bool": {"a": "b"}}}]},
            {"Statement": [{"Condition": {"Bool": {"a": "b"}}}]},
        ),
    ],
)
def test_functions_give_what_is_documented(value: Any, expected: Any) -> None:
    assert resolve(value, Yes=True, No=False) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "New"}, KNOWN_AFTER_APPLY),
        ({"Fn::Sub": "${New}-x"}, f"{KNOWN_AFTER_APPLY}-x"),
        ({"Fn::Join": [":", ["a", {"Fn::GetAtt": ["New", "Arn"]}]]}, f"a:{KNOWN_AFTER_APPLY}"),
        ({"Fn::Select": [2, {"Fn::Split": [",", {"Ref": "New"}]}]}, KNOWN_AFTER_APPLY),
        ({"Fn::Cidr": [{"Ref": "New"}, 2, 8]}, [KNOWN_AFTER_APPLY, KNOWN_AFTER_APPLY]),
        ({"Fn::Length": {"Ref": "New"}}, KNOWN_AFTER_APPLY),
        ({"Fn::Base64": {"Ref": "New"}}, KNOWN_AFTER_APPLY),
    ],
)
def test_what_is_not_known_yet_is_handed_on(value: Any, expected: Any) -> None:
    assert resolve(value) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            {"Fn::Transform": {"Name": "AWS::Include"}},
            "Fn::Transform is not supported by the local AWS region",
        ),
        ({"Fn::ForEach::X": []}, "Fn::ForEach::X is not supported"),
        ({"Fn::FindInMap": ["Sizes", "test", "Class"]}, "Unable to get mapping for Sizes::test::Class"),
        ({"Fn::Select": [2, ["a", "b"]]}, "Fn::Select cannot select nonexistent value at index 2"),
        ({"Fn::If": ["Unknown", 1, 2]}, "unresolved condition dependency Unknown"),
        ({"Fn::Cidr": ["10.0.0.0/24", 4, 7]}, "can't make 4 blocks of 7 bits in 10.0.0.0/24"),
        ({"Fn::Join": ["-", {"a": "b"}]}, "every Fn::Join object requires"),
        (
            {"Fn::GetStackOutput": {"StackName": "s", "OutputName": "o", "Region": "eu-west-1"}},
            "of another region or account is not supported",
        ),
    ],
)
def test_functions_that_can_not_be_resolved_say_why(value: Any, words: str) -> None:
    with pytest.raises(Unresolvable, match=words):
        resolve(value)


def test_conditions_build_on_one_another() -> None:
    stated = {
        "IsProduction": {"Fn::Equals": [{"Ref": "Kind"}, "production"]},
        "IsNot": {"Fn::Not": [{"Condition": "IsProduction"}]},
        "Either": {"Fn::Or": [{"Condition": "IsNot"}, {"Fn::Equals": ["1", 1]}]},
        "Both": {"Fn::And": [{"Condition": "IsNot"}, {"Condition": "Either"}]},
    }
    assert evaluate_conditions(template(Conditions=stated), VALUES, Outside()) == {
        "IsProduction": True,
        "IsNot": False,
        "Either": True,
        "Both": False,
    }
    circle = {"A": {"Fn::Not": [{"Condition": "B"}]}, "B": {"Fn::Not": [{"Condition": "A"}]}}
    with pytest.raises(Unresolvable, match="Circular dependency between conditions"):
        evaluate_conditions(template(Conditions=circle), VALUES, Outside())


def test_yaml_may_use_short_forms() -> None:
    body = """
AWSTemplateFormatVersion: 2010-09-09
Resources:
  A:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "${AWS::StackName}-a"
      Tags:
        - {Key: arn, Value: !GetAtt B.Arn}
        - {Key: if, Value: !If [IsBig, !Ref B, !Ref "AWS::NoValue"]}
  B: {Type: AWS::SQS::Queue}
"""
    read = parse(body)
    assert read.document["AWSTemplateFormatVersion"] == "2010-09-09"
    assert read.resources["A"]["Properties"] == {
        "QueueName": {"Fn::Sub": "${AWS::StackName}-a"},
        "Tags": [
            {"Key": "arn", "Value": {"Fn::GetAtt": ["B", "Arn"]}},
            {"Key": "if", "Value": {"Fn::If": ["IsBig", {"Ref": "B"}, {"Ref": "AWS::NoValue"}]}},
        ],
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "JSON not well-formed"),
        ("a: [", "YAML not well-formed"),
        ("just text", "unsupported structure"),
        ("{}", "At least one Resources member must be defined"),
        ('{"Resources": {}}', "At least one Resources member must be defined"),
        ('{"Resources": {"A": {}}}', "Every Resources object must contain a Type member"),
        ('{"Resources": {"A-b": {"Type": "X"}}}', "Resource name A-b is non alphanumeric"),
        ('{"Resources": {"A": {"Type": "X", "Foo": 1}}}', "Invalid template resource property 'Foo'"),
        ('{"Foo": 1, "Resources": {}}', r"Invalid template property or properties \[Foo\]"),
        ('{"Transform": "X", "Resources": {}}', "A template with Transform is not supported"),
        ('{"Resources": {"A": {"Type": "X"}}, "Outputs": {"O": {}}}', "Output O must have a Value member"),
    ],
)
def test_a_template_of_the_wrong_shape_is_refused_in_known_words(body: str, words: str) -> None:
    with pytest.raises(AwsError, match=words):
        parse(body)


def test_a_body_may_have_51200_bytes() -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
    check_size("x" * BODY_LIMIT)
    with pytest.raises(AwsError, match="Member must have length less than or equal to 51200"):
        check_size("x" * (BODY_LIMIT - 1) + "ü")


def test_references_to_nothing_are_refused() -> None:
    for properties, words in (
        ({"QueueName": {"Ref": "Gone"}}, r"Unresolved resource dependencies \[Gone\] in the Resources block"),
        ({"QueueName": {"Fn::Sub": "${Gone}"}}, r"Unresolved resource dependencies \[Gone\]"),
        ({"QueueName": {"Fn::GetAtt": ["Gone", "Arn"]}}, "Fn::GetAtt references undefined resource Gone"),
    ):
        with pytest.raises(AwsError, match=words):
            check_references(template({"A": {"Type": QUEUE, "Properties": properties}}))
    with pytest.raises(AwsError, match=r"Unresolved resource dependencies \[Gone\]"):
        check_references(template({"A": {"Type": QUEUE, "DependsOn": "Gone"}}))
    with pytest.raises(AwsError, match="Unresolved condition dependency Gone in the Resources block"):
        check_references(template({"A": {"Type": QUEUE, "Condition": "Gone"}}))


def test_resources_that_need_each_other_are_named_and_what_hangs_on_them_is_not() -> None:
    def queue(*needs: str) -> dict[str, Any]:
        return {"Type": QUEUE, "DependsOn": list(needs)}

    stated = {"A": queue("B"), "B": queue("C"), "C": queue("A"), "User": queue("A"), "Free": queue()}
    with pytest.raises(AwsError, match=r"Circular dependency between resources: \[A, B, C\]"):
        dependencies(template(stated), {})
    assert in_order({"B": frozenset({"A"}), "A": frozenset()}) == ["A", "B"]


def test_parameters_get_their_values() -> None:
    declared = template(
        Parameters={
            "Number": {"Type": "Number", "Default": 5},
            "List": {"Type": "CommaDelimitedList"},
            "Stored": {"Type": "AWS::SSM::Parameter::Value<List<String>>"},
        }
    )
    stated = [
        {"ParameterKey": "List", "ParameterValue": "a, b"},
        {"ParameterKey": "Stored", "UsePreviousValue": True},
    ]
    values = parameters.given(declared, stated, {"Stored": "/zones"})
    assert values == {"Number": "5", "List": "a, b", "Stored": "/zones"}
    assert parameters.resolved(declared, values, lambda name: f"{name},x") == {
        "Number": "5",
        "List": ["a", "b"],
        "Stored": ["/zones", "x"],
    }


@pytest.mark.parametrize(
    ("described", "value", "words"),
    [
        ({"Type": "String"}, None, r"Parameters: \[P\] must have values"),
        ({"Type": "Number"}, "x", "Parameter 'P' must be a number"),
        ({"Type": "Number", "MinValue": 3}, "2", "Parameter 'P' must be a number not less than 3"),
        ({"Type": "Number", "MaxValue": 3}, "4", "Parameter 'P' must be a number not greater than 3"),
        ({"Type": "String", "AllowedValues": ["a"]}, "b", "Parameter 'P' must be one of AllowedValues"),
        ({"Type": "String", "AllowedPattern": "[a-z]+"}, "a1", "Parameter 'P' must match pattern"),
        ({"Type": "String", "MinLength": 2}, "a", "Parameter 'P' must contain at least 2 characters"),
        ({"Type": "String", "MaxLength": 2}, "abc", "Parameter 'P' must contain at most 2 characters"),
        ({"Type": "Bogus"}, "a", "Unrecognized parameter type: Bogus"),
        (
            {"Type": "String", "AllowedPattern": "a", "ConstraintDescription": "only a"},
            "b",
            "Parameter 'P' failed to satisfy constraint: only a",
        ),
    ],
)
def test_parameters_that_are_not_right_are_refused(described: Any, value: str | None, words: str) -> None:
    stated = [] if value is None else [{"ParameterKey": "P", "ParameterValue": value}]
    with pytest.raises(AwsError, match=words):
        parameters.given(template(Parameters={"P": described}), stated, None)


def test_a_parameter_the_template_does_not_have_is_refused() -> None:
    with pytest.raises(AwsError, match=r"Parameters: \[X\] do not exist in the template"):
        parameters.given(template(), [{"ParameterKey": "X", "ParameterValue": "1"}], None)


def test_scalars_become_what_the_schema_says() -> None:
    described = schema("AWS::EC2::LaunchTemplate")
    assert described is not None
    text = {"Ebs": {"VolumeSize": "8", "Encrypted": "true"}, "DeviceName": 5}
    assert described.coerce({"LaunchTemplateData": {"BlockDeviceMappings": [text]}}) == {
        "LaunchTemplateData": {
            "BlockDeviceMappings": [{"Ebs": {"VolumeSize": 8, "Encrypted": True}, "DeviceName": "5"}]
        }
    }
    assert schema("AWS::Foo::Bar") is None


def test_what_needs_another_resource_comes_from_the_schemas() -> None:
    described = schema("AWS::RDS::DBCluster")
    assert described is not None
    assert [described.recreation((name,)) for name in ("DBSubnetGroupName", "Engine", "EngineVersion")] == [
        "Always",
        "Conditionally",
        "Never",
    ]


def test_properties_a_handler_does_not_list_are_found_however_deep_they_are() -> None:
    supported = frozenset({"Name", "Interfaces.Groups", "Document"})
    properties = {
        "Name": {"Ref": "X"},
        "Interfaces": [{"Groups": [1], "Other": 1}, {"Fn::If": ["C", {"Third": 1}, {"Ref": "AWS::NoValue"}]}],
        "Document": {"any": {"thing": 1}},
        "Unknown": 1,
    }
    assert list(unsupported_paths(properties, supported)) == [
        ("Interfaces", "Other"),
        ("Interfaces", "Third"),
        ("Unknown",),
    ]


def test_differences_are_found_where_they_are() -> None:
    before = {"a": [{"b": 1, "c": 2}], "d": 1, "e": [1], "f": True}
    after = {"a": [{"b": 1, "c": 3}], "e": [1, 2], "f": 1, "g": 1}
    found = [(it.path, it.pointer) for it in differences(before, after)]
    assert found == [
        (("a", "*", "c"), "/a/0/c"),
        (("d",), "/d"),
        (("e",), "/e"),
        (("f",), "/f"),
        (("g",), "/g"),
    ]
