"""Names of a network's classes."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from reslab.data.picture import shown
from reslab.errors import SpecError, nearest

_IMAGENET = Path(__file__).with_name("imagenet.tsv")


class ClassName(NamedTuple):
    """A class in words, and its WordNet number if it has one; its text can be printed."""

    name: str
    wordnet: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.wordnet})" if self.wordnet else shown(self.name)


def class_names(classes: Sequence[str], count: int) -> tuple[ClassName, ...]:
    """The names of `count` classes in the order of the logits.

    classes: the names stored with the weights. Without them, 1,000 classes are ImageNet's, others "class 3". A WordNet
    number of one of ImageNet's classes (n02124075, as folders have it) is put in words.
    """
    if classes:
        return tuple(_in_words(name) for name in classes)
    if count == len(imagenet()):
        return tuple(_in_words(number) for number in imagenet())
    return tuple(ClassName(f"class {index}") for index in range(count))


def class_index(word: str, names: Sequence[ClassName]) -> int:
    """The number of a class by name, WordNet number or number. Raises SpecError naming the nearest."""
    for column in (lambda name: name.name, lambda name: name.wordnet, str):
        matches = [index for index, name in enumerate(names) if column(name) == word]
        if len(matches) == 1:
            return matches[0]
    if word.isascii() and word.isdigit() and int(word) < len(names):
        return int(word)
    choices = [name.name for name in names]
    raise SpecError(f"no class {shown(word)}, nor a number from 0 to {len(names) - 1}: {nearest(word, choices)}")


def _in_words(name: str) -> ClassName:
    words = imagenet().get(name)
    return ClassName(words.partition(",")[0], name) if words else ClassName(name)


@cache
def imagenet() -> dict[str, str]:
    """ImageNet's 1,000 classes in the order of all public weights: WordNet numbers and words.

    The classes of ILSVRC 2012 (Russakovsky et al. 2015, arXiv 1409.0575), the words of WordNet 3.0.
    """
    lines = _IMAGENET.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)
