"""The cases, one file each; the folder is the area."""
