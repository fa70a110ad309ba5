"""Video files and frame folders in, H.264 out."""
