"""What figures show, as pure functions: frames in, one tidy frame out."""
