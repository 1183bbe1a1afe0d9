"""The digits that come with scikit-learn: 1,797 real handwritten digits, 8x8, grey."""

import numpy as np

from reslab.data.images import DataSet, Images


def load_digits() -> DataSet:
    """1,437 training and 360 test images, a fixed split stratified by class. Pixels 0..16 are spread over 0..255."""
    from sklearn.datasets import load_digits as embedded
    from sklearn.model_selection import train_test_split

    bunch = embedded()
    pixels = np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    train, test = train_test_split(np.arange(len(labels)), test_size=360, stratify=labels, random_state=0)
    classes = tuple(str(name) for name in bunch.target_names)
    return DataSet("digits", Images(pixels[train], labels[train]), Images(pixels[test], labels[test]), classes)
