"""The napari plugin: open, run, see, look up, correct, export. Qt only here; what is analysed is analysed elsewhere."""
