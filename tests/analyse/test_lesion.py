"""Removed and swapped units, and paths, against closed forms."""

from itertools import chain, combinations

import numpy as np
import pytest
import torch
from tests.analyse.made import Unchanged, batches, built, small, without_residuals
from torch.nn import functional as F

from reslab.analyse.blocks import apply, blocks
from reslab.analyse.lesion import Ablated, Outcome, lesions, outcome
from reslab.analyse.paths import _along, _graphs, paths
from reslab.errors import SpecError
from reslab.nets import Gated, Scaled, network


@pytest.mark.parametrize("name", ["resnet20-cifar", "preact20-cifar", "inception-resnet-v1", "lenet5"])
def test_the_trunk_is_the_network(name):
    made = built(network(name))
    x = torch.randn(1, *made.spec.input)
    with torch.inference_mode():
        assert torch.equal(apply(blocks(made), x), made(x))


@pytest.mark.parametrize("merge", [Scaled(0.8, 1.0), Gated(-1.0)])
def test_a_removed_unit_with_zeroed_residual_changes_nothing(merge):
    made = without_residuals(built(small(merge=merge)))
    found = outcome(made, batches(), [one for one in lesions(blocks(made)) if one.what == "remove"])
    assert set(found.errors) == {found.whole}
    assert set(found.single()) == {f"stage{stage}.unit{unit}" for stage in (1, 2) for unit in (1, 2, 3)}


def test_a_removed_unit_leaves_the_shortcuts_part():
    made = built(small())
    labels = [(pixels, made(pixels).argmax(1)) for pixels, _ in batches(images=64)]
    hurt = [one for one in lesions(blocks(made)) if one.k == 1 and one.what == "remove"]
    found = outcome(made, labels, hurt)
    assert found.whole == 0
    assert len(set(found.errors)) > 1
    for unit, error in found.single().items():
        copy = built(small())
        without_residuals(copy.get_submodule(unit))
        residual = copy.get_submodule(f"{unit}.residual.bn2")
        torch.nn.init.zeros_(residual.weight)
        wrong = np.mean([(copy(pixels).argmax(1) != told).float().mean().item() for pixels, told in labels])
        assert error == pytest.approx(100 * wrong)


@pytest.mark.parametrize(
    ("whole", "lost"), [(40.0, 0.6), (89.0, -19.0), (89.5, np.nan), (90.0, np.nan), (96.0, np.nan)]
)
def test_what_is_at_chance_has_no_share_of_the_way_to_it(whole, lost):
    hurt = [one for one in lesions(blocks(built(small()))) if one.k == 1 and one.what == "remove"]
    found = Ablated(Outcome(whole, tuple(hurt), np.full(len(hurt), 70.0)), None)
    assert found.lost(90.0) == pytest.approx(lost, nan_ok=True)


def test_a_plain_unit_is_removed_where_the_shape_allows():
    made = built(small(shortcut=None))
    singles = [one.units[0] for one in lesions(blocks(made)) if one.k == 1 and one.what == "remove"]
    assert singles == ["stage1.unit1", "stage1.unit2", "stage1.unit3", "stage2.unit2", "stage2.unit3"]
    with pytest.raises(SpecError, match="no unit of this network can be removed"):
        lesions(blocks(built(network("lenet5"))))


def test_swaps_stay_within_shapes_and_follow_from_the_seed():
    body = blocks(built(small(units=(6, 6))))
    found = [one for one in lesions(body, 3) if one.what == "swap"]
    assert found == [one for one in lesions(body, 3) if one.what == "swap"]
    assert found != [one for one in lesions(body, 4) if one.what == "swap"]
    for one in found:
        assert sorted(step.block for step in one.route) == list(range(len(body)))
        assert all(body[step.block].in_shape == body[at].in_shape for at, step in enumerate(one.route))
        assert one.k > 1 or one.tau < 1


def test_the_gradients_of_all_paths_add_up_to_the_whole():
    made = built(small(units=(2, 2), merge=Scaled(0.7, 1.3))).double()
    body = blocks(made)
    pixels, labels = batches()[0]
    with torch.no_grad():
        x = apply(body[:1], pixels.double())
    whole = x.clone().requires_grad_()
    F.cross_entropy(apply(body[1:], whole), labels, reduction="sum").backward()
    ways = []
    for block in body[1:-1]:
        ways.append(_graphs(block, x))
        x = ways[-1].value
    x = x.clone().requires_grad_()
    (behind,) = torch.autograd.grad(F.cross_entropy(apply(body[-1:], x), labels, reduction="sum"), x)
    units = range(4)
    subsets = chain.from_iterable(combinations(units, k) for k in range(5))
    total = sum(_along(ways, set(taken), behind) for taken in subsets)
    assert torch.allclose(total, whole.grad)


def test_without_residuals_only_the_path_of_shortcuts_carries():
    found = paths(without_residuals(built(small())), batches())
    assert found.norm[0] > 0
    assert (found.norm[1:] == 0).all()
    assert found.contribution == pytest.approx(np.eye(7)[0])
    assert found.share == pytest.approx(np.array([1, 6, 15, 20, 15, 6, 1]) / 64)
    assert found.reach(0.5) == 0
    assert paths(built(small(shortcut=None)), batches()) is None


@pytest.mark.parametrize("weight", [0.0, float("inf")])
def test_where_no_gradient_comes_back_there_are_no_paths(weight):
    made = built(small())
    torch.nn.init.constant_(made.head.linear.weight, weight)
    assert paths(made, batches()) is None


def test_the_network_is_as_before():
    made = built(small())
    before = Unchanged(made)
    outcome(made, batches(), lesions(blocks(made)))
    paths(made, batches())
    before.check()
