"""Tests of what a network sees."""
