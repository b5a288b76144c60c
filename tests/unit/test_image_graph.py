# SPDX-License-Identifier: Apache-2.0
"""The graph of server classes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.image_graph import ImageClass, ImageGraph, ImageSource, graph_problems
from orchestrator.errors import ConfigError

SOURCE = ImageSource("136693071363", "debian-12-amd64-*")


def class_of(name: str, parent: str | None) -> ImageClass:
    return ImageClass(name, f"playbooks/images/{name}.yml", parent, None if parent else SOURCE)


def graph_of(**parents: str | None) -> ImageGraph:
    return ImageGraph({name: class_of(name, parent) for name, parent in parents.items()})


GRAPH = graph_of(api="base", base=None, worker="base", game="api", lone=None)


def names(graph: ImageGraph, *asked: str) -> list[list[str]]:
    return [[each.name for each in level] for level in graph.levels(asked)]


def test_levels_have_parents_first_and_independent_ones_side_by_side() -> None:
    assert names(GRAPH) == [["base", "lone"], ["api", "worker"], ["game"]]


def test_ancestors_come_along() -> None:
    assert names(GRAPH, "game") == [["base"], ["api"], ["game"]]
    assert names(GRAPH, "worker", "lone") == [["base", "lone"], ["worker"]]


def test_the_source_is_that_of_the_root() -> None:
    assert GRAPH.source_of("game") == SOURCE
    assert GRAPH.ancestors("game") == ("api", "base")


def test_all_unknown_classes_are_told() -> None:
    with pytest.raises(ConfigError) as caught:
        GRAPH.levels(["wroker", "api", "ap"])
    known = "there is no such class; there are api, base, game, lone, worker"
    assert caught.value.problems == (
        f"packer/images.yaml: classes.ap: {known}",
        f"packer/images.yaml: classes.wroker: {known}",
    )


@st.composite
def graphs(draw: st.DrawFn) -> ImageGraph:
    size = draw(st.integers(1, 12))
    order = draw(st.permutations([f"c{number}" for number in range(size)]))
    parents = [draw(st.sampled_from([None, *order[:position]])) for position in range(size)]
    return ImageGraph({name: class_of(name, parent) for name, parent in zip(order, parents, strict=True)})


@given(graph=graphs(), data=st.data())
def test_every_class_comes_once_and_right_after_its_parent_s_level(
    graph: ImageGraph, data: st.DataObject
) -> None:
    assert not list(graph_problems(graph.classes))
    asked = data.draw(st.lists(st.sampled_from(sorted(graph.classes)), min_size=1))
    levels = names(graph, *asked)
    flat = [name for level in levels for name in level]
    assert len(flat) == len(set(flat))
    assert set(flat) == {each for name in asked for each in (name, *graph.ancestors(name))}
    for depth, level in enumerate(levels):
        for name in level:
            parent = graph.classes[name].parent
            assert (parent in levels[depth - 1]) if depth else parent is None


@given(graph=graphs(), data=st.data())
def test_every_cycle_is_found(graph: ImageGraph, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(graph.classes)))
    top = (name, *graph.ancestors(name))[-1]
    closed = ImageGraph({**graph.classes, top: class_of(top, name)})
    cycles = [text for _, text in graph_problems(closed.classes) if text.startswith("is its own ancestor: ")]
    assert len(cycles) == 1
    way = cycles[0].removeprefix("is its own ancestor: ").split(" -> ")
    assert way[0] == way[-1] == min(way)
    assert set(way) == {name, *graph.ancestors(name)}
