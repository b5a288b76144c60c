# SPDX-License-Identifier: Apache-2.0
"""Notices by SNS."""

from __future__ import annotations

from orchestrator.aws.session import AwsSession, translated

_LONGEST_SUBJECT = 100


class AwsNotices:
    """The topics of one region."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    @translated
    def publish(self, topic_arn: str, subject: str, message: str) -> None:
        """Publish a message to all who subscribe to a topic."""
        api = self._session.client("sns")
        api.publish(TopicArn=topic_arn, Subject=as_subject(subject), Message=message)


def as_subject(text: str) -> str:
    """Return what SNS takes as a subject: one line of at most 100 characters of ASCII.

    https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    """
    plain = " ".join(text.split()).encode("ascii", "replace").decode()
    if len(plain) <= _LONGEST_SUBJECT:
        return plain
    return plain[: _LONGEST_SUBJECT - 3] + "..."
