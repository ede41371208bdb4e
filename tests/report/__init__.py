"""Tests of fastcheck/report: what people see."""
