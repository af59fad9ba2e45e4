"""``waypost replay``: recorded GPS traces played to a server as real client devices. A client: imports no feature."""
