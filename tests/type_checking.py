"""The checker of annotations at run time: every function and dataclass of the package is checked while tests run."""

from beartype import BeartypeConf, beartype

checker = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""Named by ``conftest.py``. An int is accepted for a float (``learning_rate=1``), as by mypy."""
