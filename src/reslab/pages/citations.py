"""The papers by name and year on pages, where declarations cite them by a letter."""

import re
from typing import NamedTuple


class Paper(NamedTuple):
    """A paper: its authors and year as pages cite it, and its reference."""

    name: str
    reference: str


PAPERS = {
    "A": Paper(
        "He et al. 2016a",
        "Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun: Deep Residual Learning for Image Recognition. CVPR 2016, "
        "arXiv 1512.03385",
    ),
    "B": Paper(
        "Szegedy et al. 2017",
        "Christian Szegedy, Sergey Ioffe, Vincent Vanhoucke, Alexander Alemi: Inception-v4, Inception-ResNet and the "
        "Impact of Residual Connections on Learning. AAAI 2017, arXiv 1602.07261",
    ),
    "C": Paper(
        "He et al. 2016b",
        "Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun: Identity Mappings in Deep Residual Networks. ECCV 2016, "
        "arXiv 1603.05027",
    ),
}
_PLACE = r"(?=(?:'s)? (?:sec\.|Fig|Table|arXiv|appendix|eq|footnote)|'s \d)"
_LETTER = re.compile(rf"\bpaper ([ABC])\b|\b([ABC])\b{_PLACE}")


def cited(text: str) -> str:
    """A text with papers by name and year: "A sec. 4.2" is "He et al. 2016a sec. 4.2"."""
    return _LETTER.sub(lambda match: PAPERS[match[1] or match[2]].name, text)


def references(*texts: str) -> list[Paper]:
    """The papers that some texts cite by their letter."""
    letters = {first or second for text in texts for first, second in _LETTER.findall(text)}
    return [paper for letter, paper in PAPERS.items() if letter in letters]
