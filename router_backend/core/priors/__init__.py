"""What is assumed of a variant before it has served a request: from its characteristics and its device."""
