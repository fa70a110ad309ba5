"""Tracks as data: the store that every form is read into and written from, and one file for each form."""
