"""Confined simulation workers: one process for each job, forked from a warm and trusted one."""
