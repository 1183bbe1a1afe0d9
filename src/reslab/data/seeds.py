"""Random numbers as pure functions of (seed, purpose, step or epoch)."""

from typing import Literal

import numpy as np

_STREAMS = {"weights": 0, "order": 1, "augment": 2, "dropout": 3, "mixup": 4}
Stream = Literal["weights", "order", "augment", "dropout", "mixup"]


def generator(seed: int, stream: Stream, index: int) -> np.random.Generator:
    """The random generator of one step or epoch, the same in any process."""
    return np.random.default_rng((seed, _STREAMS[stream], index))


def torch_seed(seed: int, stream: Stream, index: int, rank: int = 0) -> int:
    """The seed of torch's own generator for a purpose; each rank has its own."""
    entropy = (seed, _STREAMS[stream], index, rank) if rank else (seed, _STREAMS[stream], index)
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))
