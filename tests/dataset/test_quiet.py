"""A package that is kept quiet."""

import logging
import warnings

import pytest

from model_understanding.dataset.quiet import quiet


def test_a_package_logs_nothing_meanwhile_and_as_before_afterwards(caplog):
    logger = logging.getLogger("quiet_package")
    with quiet("quiet_package"):
        logger.warning("within")
        logging.getLogger("another_package").warning("another")
    logger.warning("after")
    assert [record.message for record in caplog.records] == ["another", "after"]


def test_other_packages_still_warn():
    with quiet("quiet_package"), pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)
