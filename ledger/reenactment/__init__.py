"""The fault of 2018, played again over real HTTPS on loopback (delivery protocol, section 3.7)."""
