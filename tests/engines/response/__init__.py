"""Tests of fastcheck/engines/response: exact differences of chains of dense layers."""
