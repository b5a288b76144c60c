# SPDX-License-Identifier: Apache-2.0
"""What the machine reads of AWS and writes there, with its own role."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from .keys import from_subject_public_key_info
from .machine import Machine
from .spool import Item

# Whatever keeps a call from succeeding.
ERRORS = (BotoCoreError, ClientError)
LONGEST_SPAN_MICROS = 23 * 3600 * 1_000_000  # a batch may span 24 hours


def code_of(error: Exception) -> str:
    """Return AWS's word for an error."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", type(error).__name__))


class Cloud:
    """The few calls that are needed. Clients are made when they are: most of a start's time goes there."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._prefix = f"/slipway/{machine.environment}"
        self._endpoint = os.environ.get("AWS_ENDPOINT_URL") or None
        self._session = boto3.Session(region_name=machine.region)
        self._clients: dict[str, Any] = {}

    def people(self) -> tuple[dict[str, str], frozenset[str]]:
        """Return people's own keys by name, and the names that are kept out."""
        path = f"{self._prefix}/ssh/"
        pages = self._client("ssm").get_paginator("get_parameters_by_path")
        found = {
            parameter["Name"].removeprefix(path): parameter["Value"]
            for page in pages.paginate(Path=path.rstrip("/"), Recursive=True)
            for parameter in page["Parameters"]
        }
        keys = {
            name.removeprefix("keys/"): value for name, value in found.items() if name.startswith("keys/")
        }
        blocked = (name.removeprefix("blocked/") for name in found if name.startswith("blocked/"))
        return keys, frozenset(blocked)

    def authority(self) -> str:
        """Return the line of the key that signs certificates."""
        alias = f"alias/slipway-{self._machine.environment}-ssh"
        der: bytes = self._client("kms").get_public_key(KeyId=alias)["PublicKey"]
        return str(from_subject_public_key_info(der))

    def database(self) -> str | None:
        """Return what the class's parameter says about the database, or None where there is none."""
        return self._parameter(f"{self._prefix}/{self._machine.server_class}/database")

    def publish(self, value: str) -> bool:
        """Publish the machine's host keys, and tell whether nothing was there."""
        try:
            self._client("ssm").put_parameter(
                Name=self._host_keys, Value=value, Type="String", Overwrite=False
            )
        except ClientError as error:
            if code_of(error) != "ParameterAlreadyExists":
                raise
            return False
        return True

    def published(self) -> str | None:
        """Return the machine's host keys as everybody sees them."""
        return self._parameter(self._host_keys)

    def put_events(self, items: list[Item]) -> None:
        """Write records to the log group, in the order of their time; a call takes those of one day."""
        ordered = sorted(items, key=lambda item: item.micros)
        while ordered:
            end = ordered[0].micros + LONGEST_SPAN_MICROS
            batch = [item for item in ordered if item.micros <= end]
            self._put_batch(batch)
            ordered = ordered[len(batch) :]

    def put_object(self, item: Item) -> None:
        """Write the record of a session that ended to the bucket. Each login has an object of its own."""
        machine, at = self._machine, datetime.fromtimestamp(item.micros / 1e6, tz=UTC)
        name = f"{machine.instance_id}-{item.record['session']}-{item.micros:x}.json"
        self._client("s3").put_object(
            Bucket=f"slipway-{machine.environment}-logs-{machine.account_id}",
            Key=f"access/{at:%Y/%m/%d}/{name}",
            Body=json.dumps(item.record, sort_keys=True).encode(),
            ContentType="application/json",
        )

    def _put_batch(self, batch: list[Item]) -> None:
        place = {
            "logGroupName": f"{self._prefix}/access",
            "logStreamName": f"{self._machine.fleet}/{self._machine.instance_id}",
        }
        events = [
            {"timestamp": item.micros // 1000, "message": json.dumps(item.record, sort_keys=True)}
            for item in batch
        ]
        try:
            self._client("logs").put_log_events(**place, logEvents=events)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            self._client("logs").create_log_stream(**place)
            self._client("logs").put_log_events(**place, logEvents=events)

    @property
    def _host_keys(self) -> str:
        return f"{self._prefix}/host-keys/{self._machine.fleet}/{self._machine.instance_id}"

    def _parameter(self, name: str) -> str | None:
        try:
            value: str = self._client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
        except ClientError as error:
            if code_of(error) != "ParameterNotFound":
                raise
            return None
        return value

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            # A client that is made before the role's credentials are there would never find them.
            if self._session.get_credentials() is None:
                raise NoCredentialsError
            style = {"addressing_style": "path" if self._endpoint else "auto"}
            config = Config(
                connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 3}, s3=style
            )
            self._clients[service] = self._session.client(service, endpoint_url=self._endpoint, config=config)
        return self._clients[service]
