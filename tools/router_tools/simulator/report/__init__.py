"""Reports of a comparison: tables, JSON, and an HTML page with plots."""
