"""Tests of fastcheck/rules: every exact difference against arithmetic of many digits."""
