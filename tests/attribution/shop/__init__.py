"""An application in three layers, one file each; the deepest one blocks."""
