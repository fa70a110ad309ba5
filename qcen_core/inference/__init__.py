"""From a trained segmenter and a video to tracked instances and result files."""
