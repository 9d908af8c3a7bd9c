"""Services on this machine: their addresses answer, and lead to the pods behind them."""
