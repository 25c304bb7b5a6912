"""What a comparison looks like: a table, JSON, a page with plots."""
