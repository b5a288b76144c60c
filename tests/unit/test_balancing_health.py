# SPDX-License-Identifier: Apache-2.0
"""What nodes see of targets is said in AWS's words, survives a reload, and is counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.balancing import metrics, runtime
from sandbox.balancing.health import CHECKING, Check, TargetState, Verdict, judge
from sandbox.balancing.nodes import Count, Traffic
from sandbox.balancing.shape import HealthCheck, Target, TargetGroup

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = HealthCheck(interval_s=10, unhealthy_threshold=2, healthy_threshold=3)
UP, NEVER = Check(True, "L7OK", "200"), Check(False, "INI")
REFUSED, SLOW, WRONG = Check(False, "L4CON"), Check(False, "L7TOUT"), Check(False, "L7STS", "500")
INITIAL = Verdict(TargetState.INITIAL, BEGAN, *CHECKING)
HEALTHY = Verdict(TargetState.HEALTHY, BEGAN)
SICK = Verdict(TargetState.UNHEALTHY, BEGAN, "Target.Timeout", "Request timed out")


@pytest.mark.parametrize(
    ("before", "checks", "after_s", "state", "reason"),
    [
        (None, [], 0, "initial", "Elb.RegistrationInProgress"),
        (None, [NEVER], 0, "initial", "Elb.InitialHealthChecking"),
        (None, [UP, UP], 0, "healthy", None),
        (INITIAL, [UP, NEVER], 5, "initial", "Elb.InitialHealthChecking"),
        (INITIAL, [REFUSED], 19, "initial", "Elb.InitialHealthChecking"),
        (INITIAL, [REFUSED], 20, "unhealthy", "Target.FailedHealthChecks"),
        (HEALTHY, [UP, WRONG], 1, "unhealthy", "Target.ResponseCodeMismatch"),
        (HEALTHY, [SLOW], 1, "unhealthy", "Target.Timeout"),
        (SICK, [NEVER], 1, "unhealthy", "Target.Timeout"),
        (SICK, [UP], 1, "healthy", None),
        (HEALTHY, [], 1, "healthy", None),
    ],
)
def test_a_verdict_follows_from_checks_and_the_one_before(
    before: Verdict | None, checks: list[Check], after_s: int, state: str, reason: str | None
) -> None:
    verdict = judge(before, checks, config=CONFIG, now=BEGAN + timedelta(seconds=after_s))
    assert (verdict.state, verdict.reason) == (state, reason)


def test_a_mismatch_names_the_code() -> None:
    verdict = judge(HEALTHY, [WRONG], config=CONFIG, now=BEGAN)
    assert verdict.description == "Health checks failed with these codes: [500]"


GROUP = TargetGroup(
    arn="arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/api/1",
    name="api",
    protocol="HTTP",
    health_check=CONFIG,
    targets=tuple(Target(f"i-{n}", 80, f"10.0.0.{n}", f"i-{n}") for n in (1, 2, 3)),
)
STATES = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight
3 api 1 i-1_80_1 10.0.0.1 2 0 1 1 77 15 3 4 6 0 0 0 - 80 - 0 0 - - 0
3 api 2 i-2_80_1 10.0.0.2 0 0 1 1 5 8 2 0 6 0 0 0 - 80 - 0 0 - - 0
"""


def test_a_new_worker_knows_what_the_old_one_knew_and_takes_a_new_target_for_down() -> None:
    assert runtime.server_states([GROUP], STATES).splitlines() == [
        "1",
        "1 api 1 i-1_80_1 10.0.0.1 2 0 1 1 77 1 0 4 6 0 0 0 - 80 - 0 0 - - 0",
        "1 api 2 i-2_80_1 10.0.0.2 0 0 1 1 5 1 0 0 6 0 0 0 - 80 - 0 0 - - 0",
        "1 api 3 i-3_80_1 10.0.0.3 0 0 1 1 0 1 0 2 6 0 0 0 - 80 - 0 0 - - 0",
    ]


STATISTICS = """\
# pxname,svname,status,check_status,check_code,req_tot,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx
listener-80,FRONTEND,OPEN,,,9,5,0,1,3
api,i-1_80_1,UP 1/3,L7OK,200,,5,0,0,1
api,i-2_80_1,DOWN,* L4CON,,,0,0,0,0
api,spare-i-1_80_1,no check,,,,0,0,0,1
api,BACKEND,UP,,,8,5,0,0,3
"""


def test_statistics_become_checks_and_traffic() -> None:
    rows = runtime.statistics(STATISTICS)
    assert runtime.checks(rows) == {
        ("api", "i-1_80_1"): Check(True, "L7OK", "200"),
        ("api", "i-2_80_1"): Check(False, "L4CON"),
    }
    assert runtime.traffic(rows) == Traffic(
        Count(9, {"2xx": 5, "3xx": 0, "4xx": 1, "5xx": 3}),
        {"api": Count(8, {"2xx": 5, "3xx": 0, "4xx": 0, "5xx": 2})},
    )


def test_sessions_are_found_by_their_target() -> None:
    listed = (
        "0x55: proto=tcpv4 src=198.18.0.2:5 fe=listener-80 be=api srv=i-1_80_1 ts=00 age=4s\n"
        "0x56: proto=tcpv4 src=198.18.0.2:6 fe=listener-80 be=api srv=spare-i-2_80_1 ts=00 age=4s\n"
        "0x57: proto=sockpair src=unix:2 fe=GLOBAL be=<NONE> srv=<none> ts=00\n"
    )
    assert runtime.sessions(listed) == {
        "0x55": ("api", "i-1_80_1"),
        "0x56": ("api", "i-2_80_1"),
        "0x57": ("<NONE>", "<none>"),
    }


def test_a_minute_is_reported_as_cloudwatch_has_it() -> None:
    report = metrics.Report(
        "app/web/1",
        runtime.traffic(runtime.statistics(STATISTICS)),
        (metrics.GroupReport(GROUP.arn, "api", healthy=2, unhealthy=1),),
    )
    listed = metrics.data([report], BEGAN)
    assert {each["Timestamp"] for each in listed} == {BEGAN}
    assert [
        (each["MetricName"], each["Value"], [each["Value"] for each in each["Dimensions"]]) for each in listed
    ] == [
        ("RequestCount", 9.0, ["app/web/1"]),
        ("HTTPCode_Target_2XX_Count", 5.0, ["app/web/1"]),
        ("HTTPCode_ELB_4XX_Count", 1.0, ["app/web/1"]),
        ("HTTPCode_Target_5XX_Count", 2.0, ["app/web/1"]),
        ("HTTPCode_ELB_5XX_Count", 1.0, ["app/web/1"]),
        ("HealthyHostCount", 2.0, ["targetgroup/api/1", "app/web/1"]),
        ("UnHealthyHostCount", 1.0, ["targetgroup/api/1", "app/web/1"]),
        ("RequestCount", 8.0, ["targetgroup/api/1", "app/web/1"]),
        ("HTTPCode_Target_2XX_Count", 5.0, ["targetgroup/api/1", "app/web/1"]),
        ("HTTPCode_Target_5XX_Count", 2.0, ["targetgroup/api/1", "app/web/1"]),
        ("RequestCountPerTarget", 4.0, ["targetgroup/api/1"]),
        ("RequestCountPerTarget", 4.0, ["targetgroup/api/1", "app/web/1"]),
    ]
