"""What is installed: unit files, an environment of its own, images; tried as far as this machine goes."""
