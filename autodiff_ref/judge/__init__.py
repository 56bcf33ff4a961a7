"""The judge: are two programs the same function, and if not, where do they differ?"""
