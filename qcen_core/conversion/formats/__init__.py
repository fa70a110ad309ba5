"""Labelling formats: each reader gives the common form of `qcen_core.conversion.annotations`."""
