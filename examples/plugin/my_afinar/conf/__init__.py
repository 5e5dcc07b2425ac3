"""Options of one's own. This file lets `pkg://my_afinar.conf` find them."""
