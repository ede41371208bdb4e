"""The default engine for chains of dense layers: exact differences from the responses of single units."""
