"""Recipes as values: how a network learns, without torch."""
