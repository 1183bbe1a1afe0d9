"""Signals against closed forms: moments along a stage, growth of gradients, and their likeness."""

from html import unescape

import numpy as np
import pytest
import torch
from tests.analyse.made import Unchanged, batches, built, described, small, without_residuals
from torch import nn
from torch.nn import functional as F

from reslab import analyse_networks
from reslab.analyse.signals import GROWTH, signals
from reslab.nets import Conv, Dropped, Scaled
from reslab.pages.analysis import render

WIDE = {"units": (6,), "widths": (64,), "stem": Conv(64, 3), "size": 16}
TAPS = (46 / 48) ** 2  # a 3x3 kernel's share of taps on a padded 16x16 map that are not zeros


def wide(**fields):
    return signals(built(small(**WIDE | fields)), batches(1, 32, 16), initial=True)


def test_in_preactivation_every_unit_adds_its_residuals_second_moment_of_one():
    result = wide(arrangement="full-preactivation")
    second = result.squares + result.variance
    assert np.diff(second)[1:] == pytest.approx(TAPS, rel=0.15)
    assert (result.residual_squares + result.residual_variance)[1:] == pytest.approx(TAPS, rel=0.1)
    assert result.shortcut_variance[1:] == pytest.approx(result.variance[:-1], rel=1e-9)
    assert result.share(6) < result.share(2) < result.share(1)


def test_after_bn_a_residual_has_a_variance_of_one():
    result = wide()
    assert result.residual_variance[1:] == pytest.approx(1, rel=1e-3)
    assert result.residual_squares[1:] == pytest.approx(0, abs=1e-6)


def test_a_scaled_shortcut_multiplies_by_its_factor_in_every_unit():
    made = without_residuals(built(small(arrangement="full-preactivation", units=(6,), widths=(4,), merge=Scaled(0.5))))
    result = signals(made, batches(), initial=True)
    assert result.variance == pytest.approx(result.variance[0] * 0.25 ** np.arange(7), rel=1e-6)
    assert result.growth() == pytest.approx(0.5**6, rel=1e-6)
    assert result.correlation == pytest.approx(result.correlation[-1], rel=1e-6)
    assert np.isfinite(result.shortcut_variance[1:]).all()


def test_without_shortcuts_each_layer_multiplies_the_squared_gradient_by_pi_over_pi_less_one():
    result = wide(units=(10,), shortcut=None)
    assert result.growth() ** (2 / 20) == pytest.approx(GROWTH, rel=0.05)
    assert result.growth() > 3 * wide(units=(10,)).growth()
    assert np.isnan(result.shortcut_variance).all()


def test_the_correlation_is_the_mean_cosine_over_all_pairs_of_images():
    made, images = built(small()), batches(2, 5)
    result = signals(made, images, initial=False)
    pixels = torch.cat([pixels for pixels, _ in images]).requires_grad_()
    after = made.stem(pixels)
    logits = made.head(made.stage2(made.stage1(after)))
    (slopes,) = torch.autograd.grad(logits[:, 0].sum(), after)
    lines = F.normalize(slopes.double().flatten(1))
    cosines = (lines @ lines.T)[~torch.eye(10, dtype=torch.bool)]
    assert result.correlation[0] == pytest.approx(float(cosines.mean()), abs=1e-6)
    assert result.gradient[0] == pytest.approx(float(slopes.flatten(1).norm(dim=1).square().mean().sqrt()), rel=1e-5)
    assert result.correlation[-1] == pytest.approx(1)  # the head's average has the same slope for every image


def test_gradients_shatter_in_plain_networks():
    residual, plain = wide(units=(10,)), wide(units=(10,), shortcut=None)
    assert plain.correlation[5] < 0.1 < 0.2 < residual.correlation[5]


@pytest.mark.parametrize("initial", [True, False])
def test_the_network_is_as_before(initial):
    made = built(small(merge=Dropped(0.5)))
    momenta = [module.momentum for module in made.modules() if isinstance(module, nn.BatchNorm2d)]
    before = Unchanged(made)
    signals(made, batches(), initial)
    before.check()
    assert momenta == [module.momentum for module in made.modules() if isinstance(module, nn.BatchNorm2d)]


def test_networks_without_bn_are_measured_and_claims_on_bn_left_out():
    names = ["fixup8-cifar", "fixup8-cifar shortcut=none initialisation=he"]
    report = analyse_networks("signals", names, "digits", images=8, seeds=1)
    assert [claim.claim.partition(":")[0] for claim in report.claims] == [
        "Gradients explode less with shortcuts",
        "Gradients of different images are less alike without shortcuts",
    ]


def test_a_page_judges_the_papers_claims_over_several_initial_weights(tmp_path):
    names = ["preact20-cifar", "resnet20-cifar", "plain20-cifar"]
    report = analyse_networks("signals", names, "digits", images=20, seeds=3)
    assert [(claim.claim.partition(":")[0], claim.judgement) for claim in report.claims] == [
        ("BN makes the residual of a deep unit a small part of its output", "holds"),
        ("With BN and without shortcuts gradients explode backward", "holds"),
        ("Gradients explode less with shortcuts", "holds"),
        ("Gradients of different images are less alike without shortcuts", "holds"),
    ]
    table = report.columns()
    assert set(table) <= described("signals")
    assert len(table["after"]) == 3 * 3 * 10
    assert {label for label in table["network"] if label.startswith("plain")} == {
        f"plain20-cifar, seed {seed}" for seed in range(3)
    }
    text = unescape(render(report, "reslab analyse", tmp_path).read_text())
    assert all(claim.claim in text for claim in report.claims)
    assert (tmp_path / "figures" / "signals.png").is_file()
