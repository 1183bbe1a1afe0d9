"""What was published, as declarations."""

from reslab.errors import SpecError, nearest
from reslab.papers.claims import Study
from reslab.papers.cost import COST
from reslab.papers.he2016a import DEGRADATION, DEPTH, SHORTCUT_OPTIONS
from reslab.papers.he2016b import ACTIVATIONS, PREACTIVATION, SHORTCUTS
from reslab.papers.szegedy2017 import INCEPTION
from reslab.papers.variations import LOUDNESS, VARIATIONS

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        *(DEGRADATION, SHORTCUT_OPTIONS, DEPTH, INCEPTION, SHORTCUTS, ACTIVATIONS, PREACTIVATION, LOUDNESS, VARIATIONS),
        COST,
    )
}


def study(name: str) -> Study:
    """The study of a name. Raises SpecError naming the nearest ones."""
    if name not in STUDIES:
        raise SpecError(f"no study {name!r}: {nearest(name, STUDIES)}")
    return STUDIES[name]
