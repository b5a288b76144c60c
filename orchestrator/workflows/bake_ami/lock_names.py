# SPDX-License-Identifier: Apache-2.0
"""The names of locks around bakes."""


def bake_lock(environment: str, class_name: str) -> str:
    """Return the name of the lock of a class; with an empty class, the prefix of all of them."""
    return f"bake/{environment}/{class_name}"
