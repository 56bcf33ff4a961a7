"""What a refuted line did, and where in its source."""
