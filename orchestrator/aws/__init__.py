# SPDX-License-Identifier: Apache-2.0
"""Adapters of the ports to AWS, one thin class per concern. Importing them imports no AWS client."""
