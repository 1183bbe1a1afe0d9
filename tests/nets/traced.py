"""A network built without values and run once, to hold what it is against what its value says."""

import torch
from torch.utils.flop_counter import FlopCounterMode


def traced(value):
    """The built network, the shape that each of its modules gave for one image, and its multiply-adds by torch."""
    with torch.device("meta"):
        built = value.build().eval()
        x = torch.empty(1, *value.input)
    shapes = {}
    for path, module in built.named_modules():
        module.register_forward_hook(lambda _, __, out, path=path: shapes.update({path: out.shape[1:]}))
    with FlopCounterMode(display=False) as counter:
        built(x)
    return built, shapes, counter.get_total_flops() // 2


def assert_layers_are_the_modules(value):
    """Every layer of a value is a module with its parameters, its output's shape and, in sum, its multiply-adds."""
    built, shapes, multiply_adds = traced(value)
    assert value.cost().multiply_adds == multiply_adds
    seen = 0
    for layer in value.layers():
        module, shape = built.get_submodule(layer.name), tuple(shapes[layer.name])
        assert shape == layer.output[: len(shape)], layer
        if not list(module.children()):
            assert sum(parameter.numel() for parameter in module.parameters()) == layer.parameters, layer
            seen += layer.parameters
    main = [part for name, part in built.named_children() if not name.startswith("auxiliary")]
    assert seen == value.cost().parameters == sum(p.numel() for part in main for p in part.parameters())
