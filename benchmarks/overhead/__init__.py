"""What loopwatch costs its host. One module per question; see README.md beside this file."""
