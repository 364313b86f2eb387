"""`python -m bakehouse`."""

from bakehouse.cli.main import entry

if __name__ == "__main__":
    entry()
