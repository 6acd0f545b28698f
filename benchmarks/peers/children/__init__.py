"""The measured processes. Each does one thing in one setting and prints its figures as one JSON object."""
