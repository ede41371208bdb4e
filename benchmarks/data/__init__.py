"""Networks, costs, programs and images that benchmarks measure, and the charts drawn from them."""
