"""Networks, costs and images that benchmarks measure, and the charts drawn from them."""
