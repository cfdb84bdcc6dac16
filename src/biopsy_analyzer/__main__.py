"""`biopsy-analyzer`, which is `python -m biopsy_analyzer`."""

from biopsy_analyzer.interrupts import listen


def main() -> None:
    """Entry point: a request to stop is heard before anything that takes time is imported."""
    listen()
    from biopsy_analyzer.cli import main as command

    command()


if __name__ == "__main__":
    main()
