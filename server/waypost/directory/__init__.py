"""Drivers, trucks, customers, and the devices that report for drivers."""
