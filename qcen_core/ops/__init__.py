"""Small numerical operations on boxes, masks, colours and assignments; no knowledge of the method."""
