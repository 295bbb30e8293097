"""Where a task, a table, the engine and the disk meet."""
