"""The fit: coefficients, intervals and corrections that published runs come out with. It writes nothing."""
