"""What the review claims (B. Shin, Residual Networks and its Variations), and which studies' claims decide it."""

from typing import NamedTuple

from reslab.papers.claims import Claim, Study
from reslab.papers.he2016a import DEGRADATION, DEPTH
from reslab.papers.he2016b import ACTIVATIONS, PREACTIVATION, SHORTCUTS
from reslab.papers.szegedy2017 import INCEPTION


class Statement(NamedTuple):
    """A sentence of the review, where it stands, and the claims of a study that it rests on: those with the words."""

    text: str
    source: str
    study: Study
    words: tuple[str, ...]

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(claim for claim in self.study.claims if any(word in claim.text for word in self.words))


REVIEW = (
    Statement("Plain networks degrade as they get deeper", "sec. 2.3", DEGRADATION, ("deeper plain network is worse",)),
    Statement(
        "Residual networks do not",
        "sec. 2.3",
        DEGRADATION,
        ("deeper residual network is not worse", "deeper residual network better"),
    ),
    Statement(
        "Residual networks are more accurate than plain ones",
        "sec. 2.3",
        DEGRADATION,
        ("At the larger depth the residual network",),
    ),
    Statement(
        "Residual networks converge faster than plain ones",
        "sec. 2.3",
        DEGRADATION,
        ("residual network converges sooner", "residual network is ahead while both train"),
    ),
    Statement("Depth pays, up to 152 layers", "sec. 2.3", DEPTH, ("is better than ResNet",)),
    Statement("Residual connections speed up the training of Inception", "sec. 3.3", INCEPTION, ("converges sooner",)),
    Statement(
        "The combined networks are at least as accurate",
        "sec. 3.3",
        INCEPTION,
        ("ends with about the same error",),
    ),
    Statement("Identity shortcuts are the best", "sec. 4.2.1", SHORTCUTS, ("The identity is better",)),
    Statement(
        "BN behind the addition impedes the flow of information",
        "sec. 4.2.2",
        ACTIVATIONS,
        ("better than BN after addition",),
    ),
    Statement("Full pre-activation is the best", "sec. 4.2.2", ACTIVATIONS, ("full pre-activation is better",)),
    Statement("Full pre-activation is better at every depth", "sec. 4.3", PREACTIVATION, ("Pre-activation is better",)),
)
