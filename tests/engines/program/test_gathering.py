"""Costs beside the parameters, which are computed when somebody asks for them."""

import warnings

import numpy as np

import fastcheck as fc


def test_report_of_an_infinite_cost_is_printed_without_warnings():
    def cost(p):
        with np.errstate(all="ignore"):
            return -np.log(1.0 - 1.0 / (1.0 + np.exp(-p))).sum()

    report = fc.check_function(cost, np.array([37.5, 1.0]), np.array([1.0, 0.7]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = str(report)
    assert report.verdict == "fail"
    assert "The cost is inf." in text
