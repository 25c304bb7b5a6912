"""The native host: the router in the server's own process, as a Triton backend in C that embeds Python."""
