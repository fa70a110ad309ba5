"""The per-frame segmenter: backbone, pixel decoder, masked-attention transformer decoder, heads."""
