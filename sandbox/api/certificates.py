# SPDX-License-Identifier: Apache-2.0
"""Add UpdateCertificateOptions to ACM.

https://docs.aws.amazon.com/acm/latest/APIReference/API_UpdateCertificateOptions.html
"""

from __future__ import annotations

from typing import Any

from moto.acm.responses import AWSCertificateManagerResponse
from moto.core.responses import EmptyResult

from sandbox.api.patches import Patches

_LOGGING = "CertificateTransparencyLoggingPreference"


def install(patches: Patches) -> None:
    """Put the operation in place."""
    patches.replace(AWSCertificateManagerResponse, "update_certificate_options", _update_options)


def _update_options(response: Any) -> EmptyResult:
    certificate = response.acm_backend.get_certificate(response._get_param("CertificateArn"))
    options = response._get_param("Options")
    if _LOGGING in options:
        certificate.cert_options = {**certificate.cert_options, _LOGGING: options[_LOGGING]}
    return EmptyResult()
