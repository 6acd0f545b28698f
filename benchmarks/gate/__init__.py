"""Does the pytest plugin ever fail an innocent test, or let a guilty one pass, on a busy machine? And what does it cost?"""
