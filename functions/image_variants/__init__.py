# SPDX-License-Identifier: Apache-2.0
"""The Lambda function that makes the sizes of an uploaded image.

It is deployed as this package beside Pillow, with `image_variants.handler.handle` as its handler.
"""
