"""What is installed: unit files, the environment of its own, images. Each is tried as far as this machine goes."""
