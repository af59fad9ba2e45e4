"""A client of Waypost for Python programs: the official Socket.IO client and what is to be done beside it
(docs/clients.md). It imports no feature, so that it may be copied.
"""
