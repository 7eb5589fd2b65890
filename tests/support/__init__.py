"""What the tests share: an HTTP client, a catcher of callbacks, and the gateway as a process of its own."""
