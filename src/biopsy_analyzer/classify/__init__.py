"""Fibre states and nucleus types, each with its probability and its reason."""

from biopsy_analyzer.classify.fibres import classify_fibres, mark_cut_edge, mark_hidden
from biopsy_analyzer.classify.nuclei import classify_nuclei, mark_hidden_nuclei
from biopsy_analyzer.classify.state_model import StateModel, load_state_model

__all__ = ["StateModel", "classify_fibres", "classify_nuclei", "load_state_model", "mark_cut_edge", "mark_hidden", "mark_hidden_nuclei"]
