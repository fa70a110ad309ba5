"""Data sets that are made: drawn shapes, cut-outs, and clips of still images."""
