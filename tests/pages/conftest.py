"""The small study of tests/study, and its runs."""

from ..study.conftest import STUDY, trained

__all__ = ["STUDY", "trained"]
