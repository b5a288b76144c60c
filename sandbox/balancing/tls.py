# SPDX-License-Identifier: Apache-2.0
"""Which TLS versions and ciphers a security policy of AWS allows, in HAProxy's words.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
"""

from __future__ import annotations

from moto.elbv2.ssl_policies import SSL_POLICIES

_VERSIONS = {"TLSv1": "TLSv1.0", "TLSv1.1": "TLSv1.1", "TLSv1.2": "TLSv1.2", "TLSv1.3": "TLSv1.3"}
_OF_TLS13 = "TLS_"


def is_policy(name: str) -> bool:
    """Return whether AWS has the policy."""
    return name in SSL_POLICIES


def bind_options(policy: str) -> str:
    """Return the options of a `bind` line."""
    data = SSL_POLICIES[policy]
    versions = sorted(_VERSIONS[name] for name in data["ssl_protocols"])
    suites = [name for name in data["ciphers"] if name.startswith(_OF_TLS13)]
    ciphers = [name for name in data["ciphers"] if not name.startswith(_OF_TLS13)]
    options = [f"ssl-min-ver {versions[0]}", f"ssl-max-ver {versions[-1]}"]
    if suites:
        options.append("ciphersuites " + ":".join(suites))
    if ciphers:
        # OpenSSL 3 speaks what is older than TLS 1.2 only at the lowest level.
        level = "" if versions[0] >= "TLSv1.2" else ":@SECLEVEL=0"
        options.append("ciphers " + ":".join(ciphers) + level)
    return " ".join(options)
