"""Everything that people look at: pages, tables and figures, made from values."""
