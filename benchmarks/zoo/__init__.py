"""Wrong derivatives that were made in earnest in public projects, side by side and executable."""
