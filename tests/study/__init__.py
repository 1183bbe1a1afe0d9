"""Tests of reslab.study."""
