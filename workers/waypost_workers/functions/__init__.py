"""arq's functions: each only unpacks its call, and raises nothing that is expected: that would end the job."""
