"""Tables of strangers: reading a file, what a column is, arrays of it."""
