# SPDX-License-Identifier: Apache-2.0
"""CloudWatch's alarms: judged each minute on what metrics say, and followed by what they trigger."""
