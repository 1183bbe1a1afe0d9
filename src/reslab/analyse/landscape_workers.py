"""The points of a landscape, measured in several processes."""

import io
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Generator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

import torch

from reslab.analyse.landscape import Grid, Place, Point, State, direction, measure
from reslab.data.batches import Batch
from reslab.errors import ReslabError
from reslab.machine import cores, tune_malloc
from reslab.nets.modules import Network
from reslab.nets.network import NetworkSpec
from reslab.stop import Stop
from reslab.weights.file import Weights, built

_POLL = 0.2  # seconds between two looks at whether a stop was asked for


Measured = Generator[tuple[Place, Point], None, None]


class Work(NamedTuple):
    """What the points are measured on."""

    network: Network
    images: list[Batch]
    grid: Grid


def measure_all(work: Work, places: list[Place], workers: int, stop: Stop) -> Measured:
    """Each place with its point, as they come; after a stop only those that are under way.

    One worker is this process. More are processes of their own on the processor, each with its share of the cores.
    Raises ReslabError where one is lost.
    """
    if workers == 1:
        directions = _directions(work)
        for place in places:
            if stop.asked:
                return
            yield place, measure(work.network, work.images, directions, work.grid, place)
        return
    workers = min(workers, len(places))
    settings = (_packed(work), work.network.spec, work.grid, max(1, cores() // workers), os.getpid())
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin, settings) as pool:
        pending = {pool.submit(_measure, place): place for place in places}
        try:
            while pending:
                if stop.asked:
                    # cancelled ones are dropped, as `wait` would wait for them for ever
                    pending = {future: place for future, place in pending.items() if not future.cancel()}
                done, _ = wait(pending, _POLL, FIRST_COMPLETED)
                for future in done:
                    yield pending.pop(future), future.result()
        except BrokenProcessPool:
            if not stop.asked:
                told = "a worker process was lost, perhaps for want of memory; fewer --workers need less"
                raise ReslabError(f"{told}\nthe points are kept, the same command goes on") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _directions(work: Work) -> tuple[State, State]:
    return direction(work.network, work.grid.seed, 0), direction(work.network, work.grid.seed, 1)


def _packed(work: Work) -> bytes:
    """Weights and images as bytes: tensors that are sent as such share memory, of which containers have little."""
    buffer = io.BytesIO()
    torch.save({"state": work.network.state_dict(), "images": work.images}, buffer)
    return buffer.getvalue()


_ours: list[tuple[Work, tuple[State, State]]] = []  # in a worker: what it works on


def _begin(packed: bytes, spec: NetworkSpec, grid: Grid, threads: int, parent: int) -> None:
    """A worker leaves stopping to its parent, and ends itself when the parent is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(threads)
    tune_malloc()

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    held = torch.load(io.BytesIO(packed), weights_only=True)
    work = Work(built(Weights(spec, held["state"])), held["images"], grid)
    _ours[:] = [(work, _directions(work))]


def _measure(place: Place) -> Point:
    [(work, directions)] = _ours
    return measure(work.network, work.images, directions, work.grid, place)
