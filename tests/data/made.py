"""Small data sets in the official formats."""

import numpy as np

from reslab.data.cifar import CIFAR10, CIFAR100

SMALL10 = CIFAR10._replace(records=(20, 10))
SMALL100 = CIFAR100._replace(records=(200, 100))


def write(root, files):
    """A made archive in the official format: equally many of each class, random pixels. Returns labels and pixels."""
    random = np.random.default_rng(0)
    folder = root / files.folder
    folder.mkdir(parents=True)
    made = {}
    for file, records in [*((file, files.records[0]) for file in files.train), (files.test, files.records[1])]:
        labels = random.permutation(np.arange(records) % files.classes).astype(np.uint8)
        pixels = random.integers(0, 256, (records, 3, 32, 32), dtype=np.uint8)
        columns = [
            np.full((records, files.label_bytes - 1), 7, np.uint8),
            labels[:, None],
            pixels.reshape(records, -1),
        ]
        (folder / file).write_bytes(np.concatenate(columns, axis=1).tobytes())
        made[file] = labels, pixels
    (folder / files.names).write_text("\n".join(f"class{number}" for number in range(files.classes)) + "\n\n")
    return made
