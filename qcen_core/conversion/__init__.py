"""From other people's annotation files to the box-only data set, and the procedural `shapes` set."""
