"""A study on disk; imports none of the other rooms, and so no jax.

    format          the names of the files, what a manifest must hold
    files           whole files or none: written beside, flushed, renamed; read with care
    ownership       whose files a directory holds: what may be replaced, what is never touched
    store           a study: manifest, table, curves, events
    arrays          named arrays as bytes
    safetensors     named arrays as bytes that others read too
    weights         of the trials that a study keeps
    checkpoints     a sweep under way: what was asked, where each bucket is, what each has left
    format_1        studies of the first format, lifted to today's

What it takes and gives are arrays, frames and plain dictionaries.
"""
