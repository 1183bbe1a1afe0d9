"""reslab: a laboratory for residual networks."""
__version__ = "0.1.0"
