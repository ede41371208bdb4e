"""Tests of fastcheck/verdict/diagnosis: where a mistake sits and what it may be."""
