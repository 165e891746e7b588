"""``zenplan backtest``."""
