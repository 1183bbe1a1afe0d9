"""A toy analysis: the largest weight of each network."""

from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from reslab.analyse.analysis import Analysis
from reslab.analyse.claims import ClaimResult
from reslab.drawing import Drawing
from reslab.table import Column, columns


@dataclass(frozen=True)
class ToyAnalysis(Analysis[Mapping[str, float]]):
    """factor: multiplies every weight."""

    factor: float = 1.0
    kind = "toy"
    title = "Largest weights beside {data}"
    about = "The largest weight."

    def measure(self, inputs, progress):
        for subject in inputs.subjects:
            assert len(inputs.batches(subject)[0][1]) == inputs.images
        progress(1.0)
        return {
            one.label: self.factor * max(float(w.detach().max()) for w in one.network.parameters())
            for one in inputs.subjects
        }

    def table(self, inputs, measured):
        return [
            Column("network", list(measured), numbers=False),
            Column("largest", list(measured.values()), form=".1f"),
        ]

    def tables(self, measured):
        return {"values": columns(("network", "largest"), list(measured.items()))}

    def drawings(self, inputs, measured):
        figure = Figure()
        figure.subplots().bar(list(measured), list(measured.values()))
        return {"toy": Drawing(figure, "Largest weights.")}

    def claims(self, inputs, measured):
        return [ClaimResult("Weights are small", "nobody", "holds", f"{max(measured.values()):.3g}")]
