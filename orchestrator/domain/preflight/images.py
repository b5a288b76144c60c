# SPDX-License-Identifier: Apache-2.0
"""Checks of the image that is rolled out, and of the one that a rollback would return to. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.domain.preflight.check import Check
from orchestrator.domain.preflight.facts import known
from orchestrator.domain.preflight.situation import Situation
from orchestrator.domain.preflight_finding import Level

_AVAILABLE = "available"
_BAKE = "`invoke bake-ami --environment {environment} --server-class {server_class}`"


def _exists(situation: Situation) -> Iterator[str]:
    if situation.new_image is None:
        yield f"there is no image {situation.intent.new_ami_id}"


def _is_available(situation: Situation) -> Iterator[str]:
    image = situation.new_image
    if image and image.state != _AVAILABLE:
        yield f"{image.ami_id} is {image.state}, not {_AVAILABLE}"


def _is_of_the_class(situation: Situation) -> Iterator[str]:
    image, wanted = situation.new_image, situation.intent.server_class
    if image is None:
        return
    # Names of other accounts' images are anybody's to choose.
    class_name = image.class_name if situation.is_own(image) else ""
    if class_name != wanted:
        found = f"of class {class_name}" if class_name else "no image of ours"
        yield f"{image.ami_id} is {found}, the fleet is of class {wanted}"


def _is_published(situation: Situation) -> Iterator[str]:
    image = situation.new_image
    if image and not image.is_published:
        yield f"{image.ami_id} was not published by a bake"


def _was_boot_tested(situation: Situation) -> Iterator[str]:
    image = situation.new_image
    if image and not known(situation.has_boot_record):
        yield f"the config bucket has no record of {image.name or image.ami_id} passing its boot test"


def _fits_the_machines(situation: Situation) -> Iterator[str]:
    image, kind = situation.new_image, known(situation.instance_type)
    if image and kind and image.architecture not in kind.architectures:
        able = " or ".join(kind.architectures)
        yield f"{image.ami_id} is made for {image.architecture}, {kind.name} runs {able}"


def _is_current(situation: Situation) -> Iterator[str]:
    image = situation.new_image
    if image and image.deprecated_at and image.deprecated_at <= situation.now:
        yield f"{image.ami_id} is deprecated since {image.deprecated_at:%Y-%m-%d}"


def _was_not_taken_back(situation: Situation) -> Iterator[str]:
    intent = situation.intent
    if intent.taken_back_by:
        yield f"rollout {intent.taken_back_by} had to take {intent.new_ami_id} back"


def _old_exists(situation: Situation) -> Iterator[str]:
    if not situation.old_ami_id:
        return
    image = situation.old_image
    if image is None:
        yield f"the old image {situation.old_ami_id} is gone"
    elif image.state != _AVAILABLE:
        yield f"the old image {image.ami_id} is {image.state}"


def _old_is_pinned(situation: Situation) -> Iterator[str]:
    image = situation.old_image if situation.old_ami_id else None
    if image is None or image.is_protected:
        return
    if not situation.is_own(image):
        yield f"the old image {image.ami_id} is another account's, which may take it away at any time"
    elif not image.is_published:
        yield f"the old image {image.ami_id} is not published, so `gc` removes it"


CHECKS = (
    Check(
        "image-exists",
        Level.ERROR,
        "The image is there, in this account and region or shared with it.",
        "name another image, or bake one: " + _BAKE,
        _exists,
    ),
    Check(
        "image-available",
        Level.ERROR,
        "EC2 can launch the image: it is neither pending nor failed nor disabled.",
        "wait until it is available, or name another image",
        _is_available,
    ),
    Check(
        "image-class",
        Level.ERROR,
        "The image is one of the fleet's server class.",
        "name an image of class {server_class}",
        _is_of_the_class,
    ),
    Check(
        "image-published",
        Level.ERROR,
        "A bake has vouched for the image: it carries the tag that is put on after the boot test.",
        "name one that was, or bake one: " + _BAKE,
        _is_published,
    ),
    Check(
        "image-boot-tested",
        Level.WARNING,
        "The environment's config bucket holds the manifest that a bake writes once a fresh machine of the "
        "image has passed its boot test; an image that was baked in another environment has it there.",
        "look at the bake's record, or roll it out in another environment first",
        _was_boot_tested,
    ),
    Check(
        "image-architecture",
        Level.ERROR,
        "The instance type can run the image's architecture.",
        "name an image of the other architecture, or change the fleet's instance_type",
        _fits_the_machines,
    ),
    Check(
        "image-current",
        Level.WARNING,
        "The image is not deprecated: it can be launched still, but somebody meant it to be replaced.",
        "bake a newer one: " + _BAKE,
        _is_current,
    ),
    Check(
        "image-not-taken-back",
        Level.ERROR,
        "The fleet's latest rollout did not have to take this very image back; whoever wants it all the same "
        "names it with `--ami`.",
        "bake a mended one: " + _BAKE + ", or name the image with `--ami` to try it again",
        _was_not_taken_back,
    ),
    Check(
        "old-image-exists",
        Level.WARNING,
        "The image that runs now can be launched still, else a rollback would leave the group unable to "
        "launch anything, and no machine that fails can be replaced until the rollout is through.",
        "go on only with an image that is known to be good: this rollout can't be taken back",
        _old_exists,
    ),
    Check(
        "old-image-pinned",
        Level.WARNING,
        "Nothing may remove the image that runs now while a rollback could need it: it is published, or "
        "protected from deregistration.",
        "protect it: `aws ec2 enable-image-deregistration-protection --image-id <the old image>`; another "
        "account's can only be replaced",
        _old_is_pinned,
    ),
)
