"""Files inside compressed archives, read without extracting anything."""

import gzip
import io
import tarfile
import zlib
from pathlib import Path

from reslab.errors import DataError

_SLACK = 4 << 20  # bytes that headers and what nobody asked for may take


class _Capped(io.RawIOBase):
    """A decompressed stream that ends in a DataError behind `limit` bytes."""

    def __init__(self, path: Path, limit: int):
        self.path = path
        self.left = limit
        self.source = gzip.GzipFile(path)

    def read(self, size: int = -1) -> bytes:
        block = self.source.read(size)
        self.left -= len(block)
        if self.left < 0:
            raise DataError(f"{self.path}: decompresses to more than the official archive has; get it anew")
        return block

    def close(self) -> None:
        self.source.close()
        super().close()


def read_tar(path: Path, wanted: dict[str, int]) -> dict[str, bytes]:
    """The content of some files of a .tar.gz by their names, each of at most the given length.

    Everything else in it is passed over: nothing is written, no link is followed. Raises DataError where the archive
    is damaged, decompresses to too much, or a wanted file is missing, a link, given twice or too long.
    """
    found: dict[str, bytes] = {}
    limit = sum(wanted.values()) + _SLACK
    try:
        with _Capped(path, limit) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name not in wanted:
                    continue
                if not member.isreg() or name in found or member.size > wanted[name]:
                    raise DataError(f"{path}: {name} is not the one official file of that name; get it anew")
                content = tar.extractfile(member)
                assert content is not None  # it is a regular file
                found[name] = content.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path}: not a whole .tar.gz archive ({error}); get it anew") from None
    if missing := [name for name in wanted if name not in found]:
        raise DataError(f"{path}: has no {missing[0]}; get it anew")
    return found


def read_gzip(path: Path, length: int) -> bytes:
    """The content of a .gz file that has `length` bytes.

    Raises DataError where it is damaged or has another length; never more than that is decompressed.
    """
    try:
        with gzip.open(path) as file:
            content = file.read(length + 1)
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path}: not a whole .gz file ({error}); get it anew") from None
    if len(content) != length:
        more = "more" if len(content) > length else f"{len(content):,}"
        raise DataError(f"{path}: decompresses to {more} bytes, not to {length:,}; get it anew")
    return content
