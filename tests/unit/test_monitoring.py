# SPDX-License-Identifier: Apache-2.0
"""How data decide the state of an alarm."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.monitoring import alarms, expressions

ABOVE = {"ComparisonOperator": "GreaterThanThreshold", "Threshold": 50.0, "EvaluationPeriods": 3}


@pytest.mark.parametrize(
    ("values", "options", "before", "expected"),
    [
        ([60, 60, 60], {}, "OK", "ALARM"),
        ([60, 40, 60], {}, "ALARM", "OK"),
        ([60, 40, 60], {"DatapointsToAlarm": 2}, "OK", "ALARM"),
        ([None, None, None], {}, "OK", "INSUFFICIENT_DATA"),
        ([None, None, None], {"TreatMissingData": "breaching"}, "OK", "ALARM"),
        ([None, None, None], {"TreatMissingData": "notBreaching"}, "ALARM", "OK"),
        ([None, None, None], {"TreatMissingData": "ignore"}, "ALARM", "ALARM"),
        ([None, None, 60], {}, "OK", "OK"),
        ([None, None, 60], {}, "ALARM", "ALARM"),
        ([None, None, 40], {}, "ALARM", "OK"),
    ],
)
def test_data_decide_the_state_of_an_alarm(
    values: list[float | None], options: dict[str, Any], before: str, expected: str
) -> None:
    assert alarms.state(ABOVE | options, values, before) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1/m2", 2.5),
        ("(m1 + 2) * m2 - 1", 47.0),
        ("IF(m2 > 0, m1 / m2, m1)", 2.5),
        ("IF(zero > 0, m1 / zero, m1)", 10.0),
        ("m1 / zero", None),
        ("m1 + none", None),
        ("FILL(none, 7)", 7.0),
        ("-m1", -10.0),
    ],
)
def test_metric_math(expression: str, expected: float | None) -> None:
    values = {"m1": 10.0, "m2": 4.0, "zero": 0.0, "none": None}
    assert expressions.evaluate(expression, values) == expected


@pytest.mark.parametrize("expression", ["SEARCH('x')", "m1 +", "__import__('os')", "unknown", "m1.real"])
def test_metric_math_that_is_not_understood_is_refused(expression: str) -> None:
    with pytest.raises(expressions.Unsupported):
        expressions.evaluate(expression, {"m1": 1.0})
