"""Files inside compressed archives, read without extracting."""

import gzip
import io
import tarfile
import zlib
from pathlib import Path

from reslab.errors import DataError

_SLACK = 4 << 20  # bytes for headers and other files


class _Capped(io.RawIOBase):
    """A decompressed stream that raises DataError after `limit` bytes."""

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
    """Contents of some files of a .tar.gz by their names; `wanted` has the greatest length of each.

    Nothing is written and no link is followed. Raises DataError if the archive is damaged or decompresses to too much,
    or a wanted file is missing, a link, duplicated or too long.
    """
    contents: dict[str, bytes] = {}
    limit = sum(wanted.values()) + _SLACK
    try:
        with _Capped(path, limit) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name not in wanted:
                    continue
                if not member.isreg() or name in contents or member.size > wanted[name]:
                    raise DataError(f"{path}: {name} is not the one official file of that name; get it anew")
                content = tar.extractfile(member)
                assert content is not None  # it is a regular file
                contents[name] = content.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path}: not a whole .tar.gz archive ({error}); get it anew") from None
    if missing := [name for name in wanted if name not in contents]:
        raise DataError(f"{path}: has no {missing[0]}; get it anew")
    return contents


def read_gzip(path: Path, length: int) -> bytes:
    """The `length` bytes of a .gz file. Raises DataError if it is damaged or has another length.

    At most length + 1 bytes are decompressed.
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
