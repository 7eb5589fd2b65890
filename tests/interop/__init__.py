"""Foreign programs that speak to us unchanged: official SDKs."""
