"""From other people's annotation files, and the made-up sets `shapes` and `cutouts`, to the box-only data set."""
