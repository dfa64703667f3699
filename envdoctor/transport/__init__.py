"""How the patient reaches a machine, and how its sections come back."""
