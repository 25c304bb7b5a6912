"""Reads config.pbtxt into typed, validated settings."""
