"""`python -m hogbox`: the command line."""

from hogbox.cli import main

if __name__ == "__main__":
    main()
