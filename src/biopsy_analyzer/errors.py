"""Every error the package raises on purpose, under one root.

A message is one line that names the file, the value found, the value wanted and the remedy. `exit_code` is what the command line
returns for it: 2 usage or configuration, 3 this slide can't be processed, 5 environment (disk, model, device). Anything else that is
raised is a bug of ours, and ends with 1.
"""


class BiopsyAnalyzerError(Exception):
    """Root of all errors raised on purpose; anything else is a bug."""

    exit_code = 1


class UsageError(BiopsyAnalyzerError):
    """An argument or a setting is wrong; the user can correct the call."""

    exit_code = 2


class SlideError(BiopsyAnalyzerError):
    """This slide can't be processed; others may be."""

    exit_code = 3


class NotASlide(SlideError):  # noqa: N818 - reads as what it says
    """The file is missing, empty, damaged or of a kind that is not read."""


class MissingPixelSize(SlideError):  # noqa: N818
    """The file states no usable pixel size, and it is never guessed."""


class WrongStain(SlideError):  # noqa: N818
    """The section is not stained with haematoxylin and eosin."""


class ResultError(BiopsyAnalyzerError):
    """This result folder can't be read: no result, unfinished or damaged; others may be."""

    exit_code = 3


class OlderResult(ResultError):  # noqa: N818 - reads as what it says
    """The result was written by another version of the format."""


class ModelError(BiopsyAnalyzerError):
    """A model folder is missing, damaged, or does not fit its card."""

    exit_code = 5


class ReaderMissing(BiopsyAnalyzerError):  # noqa: N818
    """A format's reader is an optional package that is not installed."""

    exit_code = 5


class EnvironmentFault(BiopsyAnalyzerError):  # noqa: N818
    """A part of the installation does not do its work."""

    exit_code = 5


class OutputError(BiopsyAnalyzerError):
    """Results can't be written."""

    exit_code = 5
