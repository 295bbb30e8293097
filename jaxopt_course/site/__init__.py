"""The library's site: its guides, its reference and the course, laid out for Sphinx and built."""
