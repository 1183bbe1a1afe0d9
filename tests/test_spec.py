"""Specs: JSON round trip, replacement, overrides, and errors that name the key."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reslab.data.crops import PadCropFlip
from reslab.errors import SpecError
from reslab.nets import Add, AnyNetwork, Conv, Dropped, Gated, ResNet, Scaled, StochasticDepth, Weighted, cifar_resnet
from reslab.nets.arrangements import ARRANGEMENTS
from reslab.recipes.named import RECIPES, recipe
from reslab.recipes.recipe import Recipe
from reslab.spec import digest, from_json, keys, override, override_each, plain, replace, to_json

merges = st.one_of(
    st.just(Add()),
    st.builds(Scaled, st.floats(-4, 4), st.floats(-4, 4)),
    st.builds(Gated, st.floats(-10, 0), st.booleans(), st.sampled_from(["1x1", "deep"])),
    st.builds(Dropped, st.floats(0, 0.99), st.booleans()),
    st.builds(Weighted, st.floats(-4, 4), st.booleans(), st.sampled_from(["unit", "channel"])),
    st.builds(StochasticDepth, st.floats(0.01, 1), st.sampled_from(["linear", "constant"])),
)


@st.composite
def resnets(draw):
    stages = draw(st.integers(1, 4))
    return ResNet(
        units=tuple(draw(st.lists(st.integers(1, 5), min_size=stages, max_size=stages))),
        widths=tuple(sorted(draw(st.lists(st.integers(16, 64), min_size=stages, max_size=stages)))),
        kernels=draw(st.sampled_from([(3, 3), (1, 3, 1), (3,)])),
        arrangement=draw(st.sampled_from(list(ARRANGEMENTS))),
        shortcut=draw(st.sampled_from(["A", "B", "C"])),
        merge=draw(merges),
        classes=draw(st.integers(1, 1000)),
        channels=draw(st.integers(1, 4)),
        size=draw(st.integers(1, 64)),
    )


@given(resnets())
def test_json_gives_the_equal_network_back(network):
    again = from_json(ResNet, to_json(network))
    assert again == network
    assert digest(again) == digest(network)
    assert hash(again) == hash(network)


@pytest.mark.parametrize("name", RECIPES)
def test_json_gives_the_equal_recipe_back(name):
    assert from_json(Recipe, to_json(recipe(name))) == recipe(name)


def test_unequal_specs_have_unequal_digests():
    network = ResNet(units=(1, 1, 1))
    assert digest(network, 1) != digest(network, 2)
    assert digest(network) != digest(replace(network, merge=Dropped()))
    assert len(digest(network)) == 8


def test_a_field_added_later_is_in_files_only_where_it_differs():
    network = ResNet(units=(1, 1, 1))
    added = {"widening", "groups", "dropout", "zero_last_bn", "pooled_shortcut", "squeeze", "initialisation"}
    assert set(keys(network)) - set(plain(network)) == added | {key for key in keys(network) if "." in key}
    assert plain(replace(network, dropout=0.1))["dropout"] == 0.1
    assert "gate" not in plain(Gated())
    assert override(network, {"merge": "gated", "merge.gate": "deep"}).merge == Gated(gate="deep")


def test_replace_checks_like_a_new_one():
    network = ResNet(units=(1, 1, 1))
    assert replace(network, merge=Scaled(0.5, 0.5)).merge == Scaled(0.5, 0.5)
    with pytest.raises(SpecError, match="did you mean merge"):
        replace(network, merg=Add())
    with pytest.raises(SpecError, match=r"^classes: .*greater than 0"):
        replace(network, classes=0)
    with pytest.raises(AttributeError):
        network.classes = 3


def test_override_reaches_every_depth():
    changed = override(recipe("paper-a-cifar"), {"steps": "400", "schedule.at": "[100, 200]", "augment.flip": "false"})
    assert (changed.steps, changed.schedule.at, changed.augment.flip) == (400, (100, 200), False)
    assert override(recipe("paper-a-cifar"), {"augment": "none"}).augment is None


def test_override_chooses_a_kind_by_its_word():
    network = ResNet(units=(1, 1, 1))
    assert override(network, {"merge": "dropped", "merge.p": "0.25"}).merge == Dropped(0.25)


def test_a_kind_is_chosen_where_there_was_none():
    assert override(recipe("demo"), {"augment": "pad-crop-flip", "augment.pad": "2"}).augment == PadCropFlip(pad=2)
    assert override(ResNet(units=(1, 1, 1), shortcut=None), {"shortcut": "B"}).shortcut == "B"


def test_fields_that_only_fit_together_come_in_any_order():
    wider = {"units": "[1, 1, 1, 1]", "widths": "[16, 32, 64, 128]"}
    for keys_in_order in (list(wider), list(wider)[::-1]):
        changed = override(ResNet(units=(1, 1, 1)), {key: wider[key] for key in keys_in_order})
        assert (changed.units, changed.widths) == ((1, 1, 1, 1), (16, 32, 64, 128))
    plain = ResNet(units=(1, 1, 1), shortcut=None)
    assert override(plain, {"merge": "dropped", "shortcut": "A"}).merge == Dropped()
    with pytest.raises(SpecError, match=r"--set units=\[1, 1\]: .*each stage needs one of both"):
        override(ResNet(units=(1, 1, 1)), {"units": "[1, 1]", "classes": "7"})
    with pytest.raises(SpecError, match="--set merge=dropped: "):
        override(plain, {"merge": "dropped", "merge.p": "0.2"})


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("merg", "add", "did you mean merge"),
        ("merge.p", "0.5", "merge is add and has no fields"),
        ("merge", "dropt", "dropt"),
        ("classes", "ten", "classes"),
        ("classes", "NaN", "classes"),
        ("size", "-3", "size"),
        ("arrangement", "full", "full-preactivation"),
        ("units", "[1, 1]", "each stage needs one of both"),
        ("widths.0", "3", "no such key"),
        ("stride_at", "2", "allow 0 to 1"),
    ],
)
def test_a_wrong_override_names_the_key_and_the_cure(key, text, message):
    with pytest.raises(SpecError) as caught:
        override(ResNet(units=(1, 1, 1)), {key: text})
    assert message in str(caught.value)
    assert f"--set {key}" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_override_each_changes_the_spec_that_has_the_key():
    network, how = override_each(
        (ResNet(units=(1, 1, 1)), recipe("demo")), {"merge": "gated", "steps": "3", "merge.bias": "-1"}
    )
    assert network.merge == Gated(-1.0)
    assert how.steps == 3
    with pytest.raises(SpecError, match="--set stepz: no such key, did you mean steps"):
        override_each((network, how), {"stepz": "3"})


def test_keys_are_those_that_override_takes():
    how = recipe("paper-a-cifar")
    assert {"steps", "schedule.rate", "augment.pad"} <= set(keys(how))


@given(st.text(max_size=40))
def test_no_text_breaks_a_reader(text):
    with pytest.raises(SpecError, match=r"^spec\.json: "):
        from_json(ResNet, text, "spec.json")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cifar_resnet(20, merg=Add()), "ResNet has no field 'merg': did you mean merge?"),
        (lambda: Dropped(p=2), "p: input should be less than 1, not 2"),
        (lambda: Dropped(2), "p: input should be less than 1, not 2"),
        (lambda: ResNet(), "units: field required"),
        (
            lambda: ResNet((1, 1, 1), arrangement="orignal"),
            "arrangement: no 'orignal', did you mean original?",
        ),
        (
            lambda: ResNet((1, 1, 1), merge="add"),
            "merge: should be Add or Scaled or Gated or Dropped or Weighted or StochasticDepth, not 'add'",
        ),
        (
            lambda: ResNet((1, 1, 1), merge=Conv(3, 3)),
            "merge: no kind 'conv', choose from add, scaled, gated, dropped, weighted, stochastic-depth",
        ),
        (lambda: Recipe(stepz=3), "Recipe has no field 'stepz': did you mean steps?"),
        (lambda: Conv(16, 3, pading="same"), "Conv has no field 'pading': did you mean padding?"),
        (
            lambda: from_json(AnyNetwork, '{"kind": "resnet", "unis": [1]}', "run.json"),
            "run.json: ResNet has no field 'unis': did you mean units?",
        ),
        (
            lambda: from_json(ResNet, '{"units": [1], "merge": {"kind": "droped"}}'),
            "merge: no kind 'droped', did you mean dropped?",
        ),
        (
            lambda: from_json(
                ResNet, '{"units": [1], "stem": {"kind": "seq", "parts": [{"kind": "conv", "with": 3}]}}'
            ),
            "stem.parts.0: Conv has no field 'with': did you mean width?",
        ),
        (lambda: from_json(AnyNetwork, "[1]"), "should be ResNet or Staged, not [1]"),
    ],
)
def test_a_wrong_word_gets_the_nearest_wherever_a_spec_is_made(make, message):
    with pytest.raises(SpecError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["1" * 5000, "-" + "9" * 4000, "[" * 100_000, "[" * 150 + "]" * 150, '{"a":' * 999])
@pytest.mark.parametrize("key", ["units", "classes", "merge", "stem", "shortcut"])
def test_long_numbers_and_deep_lists_are_refused_in_one_short_line(key, text):
    with pytest.raises(SpecError) as caught:
        override(ResNet(units=(1, 1, 1)), {key: text})
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["add", "gated", "conv", "A", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["kind", "p", "units"]), inner),
    max_leaves=8,
)


@given(st.sampled_from([*keys(ResNet(units=(1, 1, 1))), "merge.p", "", "kind"]), st.text() | json_like.map(json.dumps))
def test_any_assignment_is_a_network_or_a_clear_error(key, text):
    try:
        override(ResNet(units=(1, 1, 1)), {key: text})
    except SpecError as error:
        assert str(error).startswith("--set ")


@given(
    st.dictionaries(st.sampled_from(["kind", *keys(ResNet(units=(1, 1, 1)))]), json_like).map(json.dumps) | st.binary()
)
def test_any_json_is_a_network_or_a_clear_error(text):
    try:
        from_json(AnyNetwork, text, "run.json")
    except SpecError as error:
        assert str(error).startswith("run.json: ")
