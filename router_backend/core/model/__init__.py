"""One logical model: selects a variant for each request, records how it ended, counts both."""
