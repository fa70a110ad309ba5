"""`python -m qcen_cli` is `qcen`: torchrun starts modules."""

from qcen_cli.main import run

if __name__ == "__main__":
    run()
