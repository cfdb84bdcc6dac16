"""Drawn sections of muscle with known truth: concentrations of stain first, colours by `render`."""

from biopsy_analyzer.training.draw.optics import render
from biopsy_analyzer.training.draw.recipe import DIFFICULTIES, DISEASES, Recipe, draw_recipe
from biopsy_analyzer.training.draw.section import Drawn, draw_section
from biopsy_analyzer.training.draw.write import write_sections

__all__ = ["DIFFICULTIES", "DISEASES", "Drawn", "Recipe", "draw_recipe", "draw_section", "render", "write_sections"]
