"""`python -m reslab`."""

from reslab.cli import main

if __name__ == "__main__":
    main()
