"""`python -m hookbus` is the command `hookbus`."""

from hookbus.cli import main

if __name__ == "__main__":
    main()
