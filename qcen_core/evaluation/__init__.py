"""YouTube-VIS average precision, box-tube precision and association measures; needs no torch."""
