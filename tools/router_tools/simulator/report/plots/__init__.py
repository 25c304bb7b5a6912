"""The plots of a comparison: one file a plot, each of the records of one seed."""
