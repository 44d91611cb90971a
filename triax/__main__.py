"""``python -m triax``: the same as the installed ``triax`` command."""

from triax.cli import main

if __name__ == "__main__":
    main()
