"""How fast it is, beside others in the same run."""
