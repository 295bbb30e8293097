"""The report of a study while its sweep runs, on a page of this machine's own."""
