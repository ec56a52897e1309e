"""`python -m remend` is the `remend` command."""

from remend.cli import main

if __name__ == "__main__":
    main()
