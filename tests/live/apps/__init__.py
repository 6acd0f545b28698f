"""What the watched processes run. The folder above is on their path, so they import `apps.lines` and the like."""
