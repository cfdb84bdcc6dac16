"""The words of the page for codes of the result."""

from __future__ import annotations

STATUS = {
    "ok": ("OK", "No quality flag was raised."),
    "review": ("Review", "Read the numbers with the quality flags in mind."),
    "refused": ("Refused", "Nothing on this slide could be scored. There are no numbers."),
}
PATTERNS = {
    "necrosis-predominant": ("Necrosis-predominant", "Necrosis with little inflammation."),
    "inflammation-predominant": ("Inflammation-predominant", "Inflammation outweighs the damaged fibres."),
    "mixed": ("Mixed", "Necrosis and inflammation together."),
    "inactive": ("Inactive", "Neither necrosis nor inflammation is above what false calls alone may give."),
    "indeterminate": ("Indeterminate", "This section does not settle the pattern."),
}
CLASSES = {
    "normal": "Normal fibres",
    "necrotic": "Necrotic fibres",
    "pale-fragmented": "Pale or fragmented fibres",
    "regenerating": "Regenerating fibres",
    "unassessable": "Fibres that could not be assessed",
    "macrophage": "Macrophages",
    "lymphocyte": "Lymphocytes",
    "internal": "Internal nuclei",
    "cluster": "Clusters and sheets of inflammatory cells",
}
ACCURACY = (
    "Accuracy was measured on drawn sections that no network was trained on, and on a few real images held back from training whose truth "
    "was marked by eye and checked by no pathologist. Figures on drawn sections say how well drawings are read; they are not accuracy on "
    "tissue, and no figure here is clinical accuracy."
)
