# SPDX-License-Identifier: Apache-2.0
"""The region's network: namespaces, links, translations and firewalls on this host."""
