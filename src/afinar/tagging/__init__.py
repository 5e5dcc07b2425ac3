"""Tags of words, on the ground floor: data check them, heads decode by them, metrics and reports read entities off them."""
