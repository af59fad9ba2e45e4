"""Lay-away agreements, from the deposit to the goods in the customer's hands."""
