"""Weights: our files, and foreign ones read safely, with their keys mapped and checked in both directions."""
