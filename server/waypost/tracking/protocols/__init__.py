"""What driver apps already speak: each module turns one app's requests into reports. Pure: no I/O, no clock.

An adapter never raises and never refuses: what can be no location becomes a malformed report, which is kept with its
reason, so that a record that can never be stored does not stop the queue of the phone behind it.
"""
