"""The specimens, a file each."""
