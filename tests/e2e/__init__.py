"""The real process against a local AWS and the fake HEC."""
