"""What happens inside a network."""

IMAGES = {"responses": 1000, "gradients": 500, "lesion": 300}
"""How many images each analysis sees where nobody says."""
