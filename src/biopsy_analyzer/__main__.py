"""`python -m biopsy_analyzer` is `biopsy-analyzer`."""

from biopsy_analyzer.cli import main

main()
