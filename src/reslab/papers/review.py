"""What the review claims (B. Shin, Residual Networks and its Variations), and which studies' claims decide it."""

from typing import NamedTuple

from reslab.papers.claims import Claim, Study
from reslab.papers.he2016a import DEGRADATION, DEPTH
from reslab.papers.he2016b import ACTIVATIONS, PREACTIVATION, SHORTCUTS
from reslab.papers.szegedy2017 import INCEPTION


class Statement(NamedTuple):
    """A sentence of the review, its section, and the claims of a study that decide it: those with one of its keys."""

    text: str
    source: str
    study: Study
    key: str

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(claim for claim in self.study.claims if claim.key == self.key)


REVIEW = (
    Statement("Plain networks degrade as they get deeper", "sec. 2.3", DEGRADATION, "plain-degrades"),
    Statement("Residual networks do not", "sec. 2.3", DEGRADATION, "residual-gains"),
    Statement("Residual networks are more accurate than plain ones", "sec. 2.3", DEGRADATION, "residual-better"),
    Statement("Residual networks converge faster than plain ones", "sec. 2.3", DEGRADATION, "residual-sooner"),
    Statement("Depth pays, up to 152 layers", "sec. 2.3", DEPTH, "deeper-better"),
    Statement("Residual connections speed up the training of Inception", "sec. 3.3", INCEPTION, "residual-sooner"),
    Statement("The combined networks are at least as accurate", "sec. 3.3", INCEPTION, "residual-as-accurate"),
    Statement("Identity shortcuts are the best", "sec. 4.2.1", SHORTCUTS, "identity-better"),
    Statement("BN after the addition impedes the flow of information", "sec. 4.2.2", ACTIVATIONS, "bn-after-addition"),
    Statement("Full pre-activation is the best", "sec. 4.2.2", ACTIVATIONS, "full-preactivation"),
    Statement("Full pre-activation is better at every depth", "sec. 4.3", PREACTIVATION, "preactivation-better"),
)
