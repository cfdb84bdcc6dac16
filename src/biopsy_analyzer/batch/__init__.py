"""Many slides: one way from a file to its result (`one`), a journal to resume from, worker processes or a cluster, tables over all."""
