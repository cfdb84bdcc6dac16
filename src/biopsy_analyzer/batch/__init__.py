"""Many slides: worker processes or a cluster, a journal to resume from, and tables over all slides."""

from biopsy_analyzer.batch.one import Analysed, analyze_file

__all__ = ["Analysed", "analyze_file"]
