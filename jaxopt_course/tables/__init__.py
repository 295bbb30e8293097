"""A table of trials, from what people write to what programs take."""
