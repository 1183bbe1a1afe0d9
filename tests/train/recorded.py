"""A CUDA graph's stand-in on a processor: the operations of one call, done again with the same tensors and numbers."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Recorder(TorchDispatchMode):
    """Does and records every operation of torch, the backward pass's and the optimizer's too."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, function, types, words=(), names=None):
        result = function(*words, **(names or {}))
        self.calls.append((function, words, names or {}, result))
        return result


class Recorded:
    """A graph as `reslab.train.step` takes it. What the function reads and writes keeps its place, as on a GPU: a
    tensor that is bound anew is not seen, and a number stays what it was at the capture.

    A capture runs nothing on a GPU; here it runs, and the first replay is left out.
    """

    def __init__(self):
        self.warm_ups = self.replays = 0

    def warm_up(self, function):
        self.warm_ups += 1
        function()

    def capture(self, function):
        with Recorder() as recorder:
            function()
        self.calls = recorder.calls

    def replay(self):
        self.replays += 1
        if self.replays == 1:
            return
        with torch.no_grad():
            for function, words, names, result in self.calls:
                again = function(*words, **names)
                for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)
