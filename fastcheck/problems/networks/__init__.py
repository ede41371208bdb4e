"""Chains of layers with a cost: description, propagation, cost model.  How they are differenced is the business
of engines.
"""
