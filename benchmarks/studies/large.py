"""A network of 33.6 million parameters, 4096-4096-4096-10 (relu, 8 samples), checked whole: time and peak memory.

    python -m benchmarks.studies.large [--width 4096] [--samples 8] [--progress]
"""

import argparse
import resource
import time

import numpy as np

import fastcheck as fc


def main() -> None:
    """Check, and print time and peak memory of the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--progress", action="store_true")
    arguments = parser.parse_args()
    width = arguments.width
    layers = [fc.Dense(width, width, "relu"), fc.Dense(width, width, "relu"), fc.Dense(width, 10, "softmax")]
    net = fc.Network(layers, cost="cross_entropy")
    parameters = net.initialize(0)
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((width, arguments.samples)), rng.integers(10, size=arguments.samples)
    gradients = net.gradients(parameters, X, Y)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    start = time.perf_counter()
    report = fc.check(net, parameters, gradients, X, Y, progress=arguments.progress)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert report.ok, str(report)
    print(f"{net!r}, m = {arguments.samples}: {net.size:,} parameters")
    print(f"{report.verdict}, difference {report.difference:.2e}, kinks {report.kinks}")
    print(f"{seconds:.2f} s; peak memory of the process {peak:.2f} GiB ({before:.2f} GiB before the check)")


if __name__ == "__main__":
    main()
