"""Run directories: everything that one training leaves."""
