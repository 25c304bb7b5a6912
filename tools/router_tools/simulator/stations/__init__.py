"""How variants serve what is sent to them: one file a discipline."""
