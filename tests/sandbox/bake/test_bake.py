# SPDX-License-Identifier: Apache-2.0
"""Bake images in a region with real machines: what is published, and that a second bake has nothing to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.bake.conftest import WRITE
from tests.sandbox.bake.holdings import Account, difference
from tests.sandbox.bake.project import Project
from tests.sandbox.bake.relay import Relay, is_read

pytestmark = pytest.mark.sandbox

CLASSES = ("left", "right", "trunk")


@pytest.fixture(name="baked", scope="module")
def fixture_baked(
    home: Project, account: Account, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Project, dict[str, Any], dict[str, Any]]]:
    """A project whose three classes were baked, what was told of it, and what the region has since."""
    project = Project.make(tmp_path_factory.mktemp("baked") / "project", port=home.port)
    project.add_class("trunk", WRITE, files={"files/written": "trunk\n"})
    project.add_class("left", WRITE, parent="trunk", files={"files/written": "left\n"})
    project.add_class("right", WRITE, parent="trunk", files={"files/written": "right\n"})
    before = account.holdings()
    told = project.bake().done()
    return project, told, difference(before, account.holdings())


Baked = tuple[Project, dict[str, Any], dict[str, Any]]


def test_every_class_is_published_parents_first(baked: Baked, account: Account) -> None:
    _, told, _ = baked
    rows = {row["class"]: row for row in told["classes"]}
    assert [row["class"] for row in told["classes"]] == ["trunk", "left", "right"]
    assert {row["fate"] for row in rows.values()} == {"published"}
    for name, row in rows.items():
        assert row["image_name"].startswith(f"{name}-")
        image = account.image(row["ami_id"])
        tags = {
            "slipway:class": name,
            "slipway:bake-key": row["image_name"].removeprefix(f"{name}-"),
            "slipway:parent": rows["trunk"]["image_name"] if name != "trunk" else _debian(account),
            "slipway:state": "published",
            "slipway:run": told["run_id"],
        }
        assert (image["Name"], image["State"]) == (row["image_name"], "available")
        assert account.tags_of_image(row["ami_id"]) == tags
        assert account.tags_of_snapshots(row["ami_id"]) == [tags]


def _debian(account: Account) -> str:
    return str(account.client("ec2").describe_images(Owners=["136693071363"])["Images"][0]["Name"])


def test_nothing_but_images_and_their_manifests_remains(baked: Baked) -> None:
    project, told, remains = baked
    assert sorted(remains) == ["+ images", "+ objects", "+ snapshots"]
    assert len(remains["+ snapshots"]) == len(CLASSES)
    manifests = {f"images/{row['image_name']}.json" for row in told["classes"]}
    assert set(remains["+ objects"]) == manifests
    assert project.run_folders == []
    assert list(Path("/tmp").glob(f"slipway-{told['run_id']}*")) == []  # noqa: S108 - where scratch is


def test_a_manifest_tells_what_the_image_was_made_of_and_holds(baked: Baked, account: Account) -> None:
    _, told, _ = baked
    trunk, left, _ = told["classes"]
    manifest = json.loads(account.body(f"images/{left['image_name']}.json"))
    assert (manifest["ami_id"], manifest["parent"]) == (left["ami_id"], trunk["image_name"])
    assert "roles/do_left/files/written" in manifest["inputs"]
    assert "roles/do_trunk/files/written" not in manifest["inputs"]
    assert manifest["contents"]["files"]["/srv/written"]["mode"] == "0644"
    assert "openssh-server" in manifest["contents"]["packages"]


def test_a_second_bake_makes_two_read_calls(baked: Baked, account: Account) -> None:
    project, told, _ = baked
    before = account.holdings()
    with Relay(project.port).running() as relay:
        again = project.bake(port=relay.port).done()
    assert [row["action"] for row in again["classes"]] == ["up to date"] * len(CLASSES)
    # The third may have been forced meanwhile.
    assert [row["ami_id"] for row in again["classes"][:2]] == [row["ami_id"] for row in told["classes"][:2]]
    assert relay.calls == ["DescribeImages", "DescribeImages"]
    assert difference(before, account.holdings()) == {}


def test_dry_run_names_the_changed_file_and_what_stands_on_it(baked: Baked, account: Account) -> None:
    project, told, _ = baked
    trunk = told["classes"][0]
    project.write("roles/do_trunk/files/written", "changed\n")
    project.write("roles/do_trunk/files/new", "new\n")
    before = account.holdings()
    with Relay(project.port).running() as relay:
        plan = {
            row["class"]: row
            for row in project.bake(port=relay.port, options=["--dry-run"]).done()["classes"]
        }
    project.write("roles/do_trunk/files/written", "trunk\n")
    (project.path / "roles/do_trunk/files/new").unlink()
    assert {row["action"] for row in plan.values()} == {"bake"}
    assert plan["trunk"]["reason"] == (
        f"since {trunk['ami_id']}: changed roles/do_trunk/files/written; added roles/do_trunk/files/new"
    )
    left = told["classes"][1]
    assert plan["left"]["reason"] == (
        f"since {left['ami_id']}: stands on {plan['trunk']['image_name']} instead of {trunk['image_name']}"
    )
    assert all(is_read(call) for call in relay.calls), relay.calls
    assert difference(before, account.holdings()) == {}


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "docs/anything.md",
        "roles/do_trunk/README.md",
        "roles/do_trunk/molecule/default/molecule.yml",
    ],
)
def test_a_file_that_images_are_not_made_of_changes_nothing(baked: Baked, path: str) -> None:
    project, _, _ = baked
    project.write(path, "changed\n")
    plan = project.bake(options=["--dry-run"]).done()
    assert [row["action"] for row in plan["classes"]] == ["up to date"] * len(CLASSES)


def test_force_makes_the_next_revision_of_that_class_alone(baked: Baked, account: Account) -> None:
    project, told, _ = baked
    right = told["classes"][2]
    again = {row["class"]: row for row in project.bake("right", options=["--force"]).done()["classes"]}
    assert again["right"]["image_name"] == f"{right['image_name']}.1"
    assert (again["right"]["fate"], again["trunk"]["fate"]) == ("published", "up to date")
    assert account.image(right["ami_id"])["State"] == "available"
    newest = project.bake("right", options=["--dry-run"]).done()["classes"][1]
    assert (newest["action"], newest["ami_id"]) == ("up to date", again["right"]["ami_id"])


def test_another_accounts_credentials_change_nothing(project: Project, account: Account) -> None:
    project.add_class("elsewhere", WRITE, files={"files/written": "elsewhere\n"})
    text = project.read("environments/sandbox.yaml")
    project.write("environments/sandbox.yaml", text.replace("123456789012", "210987654321"))
    before = account.holdings()
    with Relay(project.port).running() as relay:
        refused = project.bake(port=relay.port)
    assert refused.status == 4
    assert refused.document == {
        "error": "Refused",
        "exit_code": 4,
        "what": "environment sandbox",
        "cause": "the credentials are of account 123456789012, the environment is account 210987654321",
        "state": "nothing changed",
        "next": "choose the credentials of the environment's account (AWS_PROFILE)",
    }
    assert [call for call in relay.calls if not is_read(call)] == []
    assert difference(before, account.holdings()) == {}
