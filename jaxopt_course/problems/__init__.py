"""What is minimised: data sets, networks, tasks."""
