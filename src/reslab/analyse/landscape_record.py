"""A landscape as a file of points that grows, one line each, below a line that says of what they are."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from reslab.analyse.landscape import Grid, Place, Point
from reslab.analyse.landscape_workers import Work, measure_all
from reslab.analyse.preserve import Told
from reslab.data.batches import Batch
from reslab.disk import write_whole
from reslab.errors import DataError, SpecError
from reslab.nets.modules import Network
from reslab.stop import Stop


class Landscape:
    """A grid of points that grows in a file: what was measured before is not measured again.

    Raises SpecError where the file holds another landscape, DataError where it holds none.
    """

    def __init__(self, file: Path, network: Network, images: list[Batch], grid: Grid):
        if grid.points < 3 or grid.points % 2 == 0:
            raise SpecError(
                f"--points {grid.points}: choose an odd number from 3 on, so that the weights are in the middle"
            )
        self.file = file
        self.network = network
        self.images = images
        self.grid = grid
        self.points: dict[Place, Point] = {}
        self.head = {"landscape": {**grid._asdict(), "weights": _digest(network), "images": _images_digest(images)}}
        self._open(self.head)

    def _open(self, head: dict[str, dict[str, object]]) -> None:
        if not self.file.is_file():
            write_whole(self.file, (json.dumps(head) + "\n").encode())
            return
        text = self.file.read_text(encoding="utf-8", errors="replace")
        whole = text[: text.rfind("\n") + 1]  # a crash may have cut the last line short
        try:
            first, *lines = [json.loads(line) for line in whole.splitlines()]
            held = first["landscape"]
            self.points = {(told["first"], told["second"]): Point(told["loss"], told["error"]) for told in lines}
            differing = [key for key, value in head["landscape"].items() if held.get(key) != value]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{self.file}: not the points of a landscape; remove it, or choose another --out") from None
        if differing:
            raise SpecError(
                f"{self.file}: holds another landscape (other {', '.join(differing)}); choose another --out"
            )

    @property
    def missing(self) -> list[Place]:
        return [place for place in self.grid.places if place not in self.points]

    def fill(self, workers: int, stop: Stop, told: Told | None = None) -> bool:
        """Measure what is missing in so many processes, here where it is one; False where it was stopped.

        Raises SpecError where another process fills the same file, ReslabError where a worker was lost; what was
        measured until then is kept.
        """
        if not self.missing:
            return True
        with self._alone() as file:
            measured = measure_all(Work(self.network, self.images, self.grid), self.missing, workers, stop)
            with closing(measured):
                for (first, second), point in measured:
                    line = json.dumps({"first": first, "second": second, **point._asdict()})
                    file.write(line + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                    self.points[first, second] = point
                    if told:
                        told(len(self.points) / self.grid.points**2)
        return not self.missing

    @contextmanager
    def _alone(self) -> Iterator[TextIO]:
        """The file to append to, without a last line that was cut short, locked against other processes."""
        with self.file.open("r+", encoding="utf-8", errors="replace") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SpecError(
                    f"{self.file}: another process fills it; wait for it, or choose another --out"
                ) from None
            self._open(self.head)  # another may have filled it meanwhile
            file.truncate(self.file.read_bytes().rfind(b"\n") + 1)
            file.seek(0, os.SEEK_END)
            yield file

    def losses(self) -> NDArray[np.float64]:
        """(points, points): the loss by the steps along both directions; infinite where it is no number."""
        found = np.full((self.grid.points, self.grid.points), np.inf)
        for place, point in self.points.items():
            if point.loss is not None:
                found[place] = point.loss
        return found


def _digest(network: Network) -> str:
    """Of a network's weights and statistics, by name."""
    found = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        found.update(name.encode())
        found.update(tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def _images_digest(images: list[Batch]) -> str:
    found = hashlib.sha256()
    for pixels, labels in images:
        found.update(pixels.cpu().contiguous().numpy().tobytes())
        found.update(labels.cpu().numpy().tobytes())
    return found.hexdigest()[:16]
