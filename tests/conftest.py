"""What holds for all tests."""

from hypothesis import settings

# How long an example takes says nothing about what it tests: the first one may have to compile.
settings.register_profile("qcen", deadline=None)
settings.load_profile("qcen")
