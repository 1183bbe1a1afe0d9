"""What people call the classes of a network."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from reslab.data.picture import shown

_IMAGENET = Path(__file__).with_name("imagenet.tsv")


class ClassName(NamedTuple):
    """A class in words, and its WordNet number where it has one; as text, such that a message can print it."""

    name: str
    wordnet: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.wordnet})" if self.wordnet else shown(self.name)


def class_names(classes: Sequence[str], count: int) -> tuple[ClassName, ...]:
    """The names of `count` classes in the order of the logits, from the names that the weights have, if any.

    Of 1,000 without names they are ImageNet's, of others "class 3". A name that is the WordNet number of one of
    ImageNet's classes (n02124075, as folders have it) is told in words.
    """
    if classes:
        return tuple(_in_words(name) for name in classes)
    if count == len(imagenet()):
        return tuple(_in_words(number) for number in imagenet())
    return tuple(ClassName(f"class {index}") for index in range(count))


def _in_words(name: str) -> ClassName:
    words = imagenet().get(name)
    return ClassName(words.partition(",")[0], name) if words else ClassName(name)


@cache
def imagenet() -> dict[str, str]:
    """ImageNet's 1,000 classes in the order that all public weights have: WordNet numbers and WordNet's words.

    The classes of ILSVRC 2012 (Russakovsky et al. 2015, arXiv 1409.0575), the words of WordNet 3.0.
    """
    lines = _IMAGENET.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)
