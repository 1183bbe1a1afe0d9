"""What others trained: their files read safely, their keys mapped and checked, in both directions."""
