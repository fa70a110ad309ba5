"""From the box-only data set to clip batches."""
