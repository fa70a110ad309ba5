"""The command line: Typer commands that call `qcen_core` and print what it returns."""
