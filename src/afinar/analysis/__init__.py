"""Reading finished runs: tables and comparisons, from run folders alone."""
