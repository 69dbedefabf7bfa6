"""`python -m pfsquid`."""

from pfsquid.cli import main

if __name__ == "__main__":
    main()
