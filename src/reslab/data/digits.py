"""The digits of scikit-learn: 1,797 handwritten digits, 8x8, grey."""

import numpy as np

from reslab.data.images import DataSet, Images, split


def load_digits() -> DataSet:
    """1,437 training and 360 test images, a fixed split stratified by class. Pixels 0..16 are scaled to 0..255."""
    from sklearn.datasets import load_digits as embedded

    bunch = embedded()
    pixels = np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    images = Images(pixels, bunch.target.astype(np.int64))
    train, test = split(images.labels, 360)
    return DataSet("digits", images.take(train), images.take(test), tuple(str(name) for name in bunch.target_names))
