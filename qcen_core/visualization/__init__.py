"""Overlays, contact sheets, curves and the report page; needs no torch."""
