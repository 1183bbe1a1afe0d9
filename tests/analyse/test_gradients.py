"""Gradients against what C eqs. 5 to 8 say where residuals are zero; dead channels and networks."""

import math

import numpy as np
import pytest
from tests.analyse.made import Unchanged, batches, built, small, without_residuals
from torch import nn

from reslab.analyse.gradients import GradientAnalysis, Gradients, before_pooling, gradients
from reslab.analyse.inputs import INITIAL, Inputs, Subject
from reslab.nets import Dropped, Gated, Scaled, network

PREACT = {"arrangement": "full-preactivation", "units": (54,), "widths": (4,)}


def test_the_identity_network_has_gradient_factors_of_exactly_one():
    result = gradients(without_residuals(built(small(**PREACT))), batches())
    assert len(result.blocks) == 55
    assert (result.gradient == result.gradient[-1]).all()
    assert (result.predicted() == result.gradient).all()


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_half_of_each_of_54_shortcuts_leaves_half_to_the_54th(mode):
    made = without_residuals(built(small(**PREACT, merge=Scaled(0.5, 1.0))))
    result = gradients(made, batches(), mode)
    assert result.ratio() == pytest.approx(0.5**54, rel=1e-6)
    assert result.predicted() == pytest.approx(result.gradient, rel=1e-6)
    assert result.product() == 0.5**54


def test_a_product_of_factors_may_overflow():
    even = np.ones(60)
    result = Gradients(("",) * 60, even, even, 1e30 * even, even, False)
    assert result.product() == result.predicted()[0] == math.inf
    assert result.predicted()[-2] == 1e30
    assert not result.finite()
    assert result._replace(factor=np.nan * even).finite()
    assert not result._replace(factor=even, signal=np.nan * even).finite()


@pytest.mark.parametrize(
    ("ratios", "judgement"),
    [((300.0, 2e4, 9e3), "holds"), ((1e-4, 1e-5, 3e-4), "does not hold"), ((0.0, 0.0, 0.0), "does not hold")],
)
def test_gradients_that_differ_by_orders_of_magnitude_are_judged_by_them(ratios, judgement):
    of = [Subject(f"plain8-cifar, seed {seed}", network("plain8-cifar"), {INITIAL: None}) for seed in range(3)]
    even = np.ones(3)
    measured = {
        (one.label, INITIAL): Gradients(("",) * 3, even, np.array([ratio, 1, 1]), np.nan * even, even, False)
        for one, ratio in zip(of, ratios, strict=True)
    }
    vanishing = GradientAnalysis().claims(Inputs(of), measured)[0]
    assert vanishing.claim.startswith("BN keeps the gradient of a plain network from vanishing")
    assert vanishing.judgement == judgement


def test_gates_and_dropout_have_the_factor_that_they_leave():
    made = built(small(merge=Gated(-2.0)))
    for name, module in made.named_modules():
        if name.endswith("merge.gate"):
            nn.init.zeros_(module.weight)
    factor = gradients(made, batches()).factor
    assert factor[1:] == pytest.approx(1 / (1 + math.exp(-2.0)))
    assert gradients(built(small(merge=Dropped(0.25))), batches()).factor[1:] == pytest.approx(0.75)
    assert gradients(built(small(merge=Dropped(0.25, inverted=True))), batches()).factor[1:] == pytest.approx(1)


def test_a_projection_has_no_factor_and_the_product_begins_anew_before_it():
    result = gradients(built(small(shortcut="B")), batches())
    assert np.isnan(result.factor[[0, 4]]).all()
    assert result.predicted()[3] == result.gradient[3]
    assert result.predicted()[4] == result.gradient[-1]
    assert np.isnan(result.product())
    assert np.isnan(gradients(built(small(shortcut=None)), batches()).predicted()).all()


def test_a_network_whose_last_maps_are_zero_has_died():
    made = built(small(shortcut=None))
    assert not gradients(made, batches()).died
    last = made.stage2.unit3.residual.bn2
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, -1.0)
    result = gradients(made, batches())
    assert result.died
    assert result.dead[-1] == 0.5  # of the two ReLUs' channels
    assert result.signal[-1] == 0


def test_what_the_head_pools_is_after_its_activations():
    assert before_pooling(built(network("preact20-cifar")))[0] == "head.relu0"
    assert before_pooling(built(network("resnet20-cifar")))[0] == "stage3.unit3"
    assert before_pooling(built(network("lenet5")))[0] == "stage3"


def test_the_network_is_as_before():
    made = built(small(merge=Dropped(0.5)))
    before = Unchanged(made)
    gradients(made, batches())
    before.check()
