"""The egress proxy: a process of its own, with a key and a file of its own, that everything sent has to pass through.

It opens tunnels (CONNECT), reads which server each one is for off the first message of TLS, counts, and signs what it
counted. It decrypts nothing and knows nothing of accounts, grants or deliveries.
"""
