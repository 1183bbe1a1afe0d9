"""Tests of reslab.nets."""
