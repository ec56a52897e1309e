"""What is not known to be shut is open."""

from __future__ import annotations

from itertools import combinations

import pytest

from sim.workers.layers import LAYERS, Door, Layer, Layers, no_layers, read_layers


def with_active(*names: str) -> Layers:
    return Layers(found=tuple(Layer(name=name, active=name in names) for name in LAYERS))


SUBSETS = [names for size in range(len(LAYERS) + 1) for names in combinations(LAYERS, size)]


def test_without_layers_every_door_is_open_and_with_all_none() -> None:
    assert no_layers("a test").open_doors == tuple(Door) == with_active().open_doors
    assert with_active(*LAYERS).open_doors == ()


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
def test_one_more_layer_opens_no_door(names: tuple[str, ...]) -> None:
    doors = set(with_active(*names).open_doors)
    for name in LAYERS:
        assert set(with_active(*names, name).open_doors) <= doors


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
def test_new_laws_need_one_of_landlock_and_seccomp(names: tuple[str, ...]) -> None:
    if not {"landlock", "seccomp"} & set(names):
        assert Door.FILES in with_active(*names).open_doors


def test_seccomp_with_limits_is_enough_and_landlock_needs_a_user_too() -> None:
    assert with_active("limits", "seccomp").open_doors == ()
    assert with_active("limits", "landlock", "user").open_doors == ()
    assert set(with_active("limits", "landlock").open_doors) == {Door.PROGRAMS, Door.NEIGHBOURS}
    assert with_active("seccomp").open_doors == (Door.MEMORY,)


@pytest.mark.parametrize("door", Door)
def test_what_got_through_is_open_whatever_the_layers_promise(door: Door) -> None:
    assert Layers(found=with_active(*LAYERS).found, breached=(door,)).open_doors == (door,)


def test_a_layer_nobody_mentions_is_not_active() -> None:
    layers = Layers(found=(Layer(name="seccomp", active=True),))
    assert layers.active == ("seccomp",)
    assert {layer.name: layer.why for layer in layers.missing} == {
        name: "not looked for" for name in LAYERS if name != "seccomp"
    }


def test_layers_survive_json() -> None:
    layers = no_layers("a test")
    assert read_layers(layers.plain()) == layers
