"""Random mutations of CSV files through the readers of `predict` and `backtest`."""
